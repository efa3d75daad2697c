//! What pages may take from their visitors, and when they have peers at all.

use clap::value_parser;
use dcdn_protocol::SiteConfig;

/// Bounds of what visitors give, beside `--upload-limit`.
#[derive(Debug, clap::Args)]
pub struct MannersArgs {
    /// Bytes that one page uploads while it is open; a chunk that is begun before is sent
    /// to its end [default: no limit]
    #[arg(long, value_name = "BYTES")]
    upload_bytes: Option<u64>,

    /// Pages upload on cellular lines too, where the browser tells
    #[arg(long)]
    upload_on_cellular: bool,

    /// Charge in percent below which a device on its battery does not upload, where the
    /// browser tells; 0 for never
    #[arg(long, value_name = "PERCENT", default_value_t = SiteConfig::default().min_battery_percent)]
    #[arg(value_parser = value_parser!(u8).range(..=100))]
    min_battery_percent: u8,

    /// Seconds that a page in the background goes on uploading
    #[arg(long, value_name = "SECONDS", default_value_t = SiteConfig::default().background_seconds)]
    background_seconds: u32,

    /// Browsers that must be interested in a content before any hears of the others;
    /// below that nobody's address is shown to anybody
    #[arg(long, value_name = "N", default_value_t = SiteConfig::default().min_viewers)]
    min_viewers: u32,

    /// No peers before the page has said dcdn.consent(true)
    #[arg(long)]
    require_consent: bool,
}

impl MannersArgs {
    /// `site` with them.
    pub fn apply(&self, site: SiteConfig) -> SiteConfig {
        SiteConfig {
            upload_bytes: self.upload_bytes,
            upload_on_cellular: self.upload_on_cellular,
            min_battery_percent: self.min_battery_percent,
            background_seconds: self.background_seconds,
            min_viewers: self.min_viewers,
            require_consent: self.require_consent,
            ..site
        }
    }
}
