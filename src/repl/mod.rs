//! The interactive prompt. With `main`, the only place that touches the terminal. May use: `host`, rustyline.
