//! The server from outside: real sockets against [`coord_server::run`].

#![allow(clippy::unwrap_used)]

mod addresses;
mod assets;
mod binary;
mod cluster;
mod connections;
mod dashboard;
mod hostile;
#[cfg(unix)]
mod image;
mod manifest;
mod operation;
mod origin;
mod program;
mod settings;
mod signalling;
mod site;
mod support;
mod tls;
mod tokens;
#[cfg(unix)]
mod unplugged;
