//! The store from outside, with images that the tests make themselves.

mod forms;
mod kit;
