//! What a user reads: values in, text out. Nothing here asks the time or the terminal.

pub mod config;
pub mod describe;
pub mod duration;
pub mod events;
pub mod explain;
pub mod image;
pub mod jsonpath;
pub mod plan_view;
pub mod pod_row;
pub mod service;
pub mod stats;
pub mod table;
pub mod tabs;
pub mod text;
pub mod timeline;
