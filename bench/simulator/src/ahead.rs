//! Reading ahead. What happens to a crowd happens to one viewer after another, each of
//! whom lies somewhere else in memory, and most of the time would be waiting for that. Who
//! is next is known, so what they need is on its way while those before them have their
//! turn. It changes nothing but the time that it takes.

/// Bytes that the processor reads at once.
const LINE: usize = 64;

/// A value will be looked at soon.
pub fn value<T>(value: &T) {
    lines(std::ptr::from_ref(value).cast(), size_of::<T>());
}

/// Values will be looked at soon.
pub fn values<T>(values: &[T]) {
    lines(values.as_ptr().cast(), size_of_val(values));
}

/// What lies at `start` will be looked at soon.
pub fn lines(start: *const u8, bytes: usize) {
    let mut at = 0;
    while at < bytes {
        branches::prefetch_read_data::<u8, 0>(start.wrapping_add(at));
        at += LINE;
    }
    // The last may begin within what was asked for.
    branches::prefetch_read_data::<u8, 0>(start.wrapping_add(bytes.saturating_sub(1)));
}
