//! When a page takes from the visitor's line and battery, and when it leaves them alone.

use dcdn_protocol::SiteConfig;

/// What the browser tells of the visitor's device and line. Where it does not tell, the
/// value is the one that restrains nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The visitor has asked sites to save data.
    pub saves_data: bool,
    /// The line is a cellular one.
    pub cellular: bool,
    /// Charge of the battery that the device runs on.
    pub battery_percent: Option<u8>,
    /// Seconds for which the page has been in the background.
    pub background_seconds: u32,
}

/// Why nothing is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restraint {
    /// The visitor wants to save data.
    SavesData,
    /// The line is cellular.
    Cellular,
    /// The battery is low.
    LowBattery,
    /// The page has been in the background for long.
    Background,
    /// The page has uploaded what the site allows.
    Budget,
}

impl Restraint {
    /// The first reason not to upload, if there is any. `uploaded` is in bytes.
    pub fn of(site: &SiteConfig, it: &Surroundings, uploaded: u64) -> Option<Self> {
        let low = it.battery_percent.is_some_and(|charge| charge < site.min_battery_percent);
        let reasons = [
            (it.saves_data, Self::SavesData),
            (it.cellular && !site.upload_on_cellular, Self::Cellular),
            (low, Self::LowBattery),
            (it.background_seconds > site.background_seconds, Self::Background),
            (site.upload_bytes.is_some_and(|most| uploaded >= most), Self::Budget),
        ];
        reasons.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
    }

    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::SavesData => "save-data",
            Self::Cellular => "cellular",
            Self::LowBattery => "battery",
            Self::Background => "background",
            Self::Budget => "budget",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::SavesData => "This browser is set to save data, so nothing is uploaded.",
            Self::Cellular => "This device is on a cellular line, so nothing is uploaded.",
            Self::LowBattery => "The battery is low, so nothing is uploaded.",
            Self::Background => "The page has long been in the background, so nothing is uploaded.",
            Self::Budget => "The page has uploaded as much as the site allows.",
        }
    }
}

/// Whether the page may have peers: `said` is what it was told with `dcdn.consent`, if it was.
pub fn may_have_peers(site: &SiteConfig, said: Option<bool>) -> bool {
    said.unwrap_or(!site.require_consent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteConfig {
        SiteConfig { upload_bytes: Some(1000), ..SiteConfig::default() }
    }

    #[test]
    fn a_browser_that_tells_nothing_uploads() {
        assert_eq!(Restraint::of(&site(), &Surroundings::default(), 999), None);
    }

    #[test]
    fn each_reason_not_to_upload_counts() {
        let usual = Surroundings::default();
        for (surroundings, uploaded, expected) in [
            (Surroundings { saves_data: true, ..usual }, 0, Restraint::SavesData),
            (Surroundings { cellular: true, ..usual }, 0, Restraint::Cellular),
            (Surroundings { battery_percent: Some(19), ..usual }, 0, Restraint::LowBattery),
            (Surroundings { background_seconds: 301, ..usual }, 0, Restraint::Background),
            (usual, 1000, Restraint::Budget),
        ] {
            assert_eq!(Restraint::of(&site(), &surroundings, uploaded), Some(expected));
        }
    }

    #[test]
    fn a_site_may_allow_more_but_not_what_the_visitor_has_asked_to_be_spared() {
        let generous = SiteConfig {
            upload_on_cellular: true,
            min_battery_percent: 0,
            background_seconds: u32::MAX,
            ..SiteConfig::default()
        };
        let away = Surroundings {
            saves_data: false,
            cellular: true,
            battery_percent: Some(1),
            background_seconds: 100_000,
        };
        assert_eq!(Restraint::of(&generous, &away, u64::MAX), None);
        let saving = Surroundings { saves_data: true, ..away };
        assert_eq!(Restraint::of(&generous, &saving, 0), Some(Restraint::SavesData));
    }

    #[test]
    fn what_the_visitor_has_said_counts_more_than_what_the_site_assumes() {
        let asks = SiteConfig { require_consent: true, ..SiteConfig::default() };
        let assumes = SiteConfig::default();
        assert!(!may_have_peers(&asks, None));
        assert!(may_have_peers(&asks, Some(true)));
        assert!(may_have_peers(&assumes, None));
        assert!(!may_have_peers(&assumes, Some(false)));
    }
}
