//! The store from outside, with images that the tests make themselves.

mod forms;
mod keeping;
mod killed;
mod kit;
mod refusals;
mod tools;
mod unpack;
