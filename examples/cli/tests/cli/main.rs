//! The binary, from outside.

mod commands;
mod lasting;
mod network;
mod replay;
mod runtimes;
mod sim;
mod usage;
