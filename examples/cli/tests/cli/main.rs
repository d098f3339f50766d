//! The binary, from outside.

mod commands;
mod network;
mod usage;
