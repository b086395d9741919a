//! Files where others may write, too: whole or not at all, never through a link, held by one process.

mod atomic;
pub mod cache;
mod lock;
mod place;
mod text;

pub use atomic::{replace, write};
pub use lock::{Holder, Lock, host_name};
pub use place::{folder_below, is_temporary, open_plain, private_folder, sweep, unique};
pub use text::{read, read_plain_text, read_text};
