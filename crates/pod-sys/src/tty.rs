//! Terminals.

use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::os::fd::AsFd;

/// Sets the size of a terminal, in characters; its foreground processes get SIGWINCH.
///
/// # Errors
/// `ENOTTY` when the descriptor is no terminal.
pub fn set_window_size(terminal: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, openpt};

    #[test]
    fn a_terminal_keeps_the_size_it_was_given() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        set_window_size(&master, 132, 43).unwrap();
        let size = rustix::termios::tcgetwinsize(&master).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (132, 43));
    }
}
