//! The results for people: Markdown tables, and a page with pictures.

pub mod html;
pub mod markdown;
mod overhead;
pub mod picture;

pub use self::overhead::overhead;
