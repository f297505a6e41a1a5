//! The memory through which the host returns values.
//!
//! A host call returns one value at most, and its caller takes what it needs
//! before the next one. So one buffer serves them all, and nothing is allocated
//! for a connection.

use std::cell::RefCell;

thread_local! {
    static RETURNED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where the host puts a value of this size; null when there is no room.
pub(super) fn reserve(size: usize) -> *mut u8 {
    RETURNED.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.len() < size && buffer.try_reserve(size).is_ok() {
                buffer.resize(size, 0);
            }
            match buffer.len() < size {
                true => std::ptr::null_mut(),
                false => buffer.as_mut_ptr(),
            }
        }
        // Somebody is still reading the last value.
        Err(_) => std::ptr::null_mut(),
    })
}

/// Reads the value the host said it returned there. What it did not put into
/// the buffer reads as empty.
pub(super) fn with_returned<R>(start: *const u8, size: usize, read: impl FnOnce(&[u8]) -> R) -> R {
    RETURNED.with(|buffer| match buffer.try_borrow() {
        Ok(buffer) if size > 0 && start == buffer.as_ptr() => {
            read(buffer.get(..size).unwrap_or_default())
        }
        _ => read(&[]),
    })
}
