//! Scenarios of sites with many contents.

use anyhow::Result;

use super::{Draft, Options, Popularity, VIDEO_RATE, between, fit};
use crate::dice::Purpose;
use crate::event::ContentNo;
use crate::num::whole;
use crate::world::{Plan, World};

/// An hour.
const HOUR: u64 = 3_600_000;

/// A catalogue of 10-minute videos with a popularity after Zipf (exponent 0.8, in
/// the middle of what is measured for video sites), one for 50 viewers of the hour,
/// a thousand at the most. 40 % see a video to its end, the others leave anywhere in
/// it. Shows offload where many contents have few viewers each.
pub fn steady_vod(mut draft: Draft, options: &Options) -> Result<World> {
    let viewers = options.viewers_or(1000);
    let titles = (viewers / 50).clamp(10, 1000);
    let ms = options.video_ms(10.0);
    for _ in 0..titles {
        draft.video(ms)?;
    }
    let popularity = Popularity::new(titles, 0.8);
    for (n, arrive) in (0..).zip(draft.arrivals(viewers, HOUR)) {
        let content = ContentNo(draft.zipf(&popularity, n));
        let to_end = draft.unit(Purpose::Choice, n, 1) < 0.4;
        let seen = between(draft.unit(Purpose::Visit, n, 0), 2_000, ms);
        let leave = (!to_end).then_some(arrive + seen);
        draft.visit(arrive, leave, Plan::Video { content, bytes_per_s: VIDEO_RATE });
    }
    Ok(draft.done(HOUR + 3 * ms + 60_000))
}

/// Five pages of 20 images of 100 to 600 KB; visits of 10 to 60 s over ten minutes.
/// Shows what short visits can give each other, and that no image is later than the
/// slack allows.
pub fn image_heavy(mut draft: Draft, options: &Options) -> Result<World> {
    const PAGES: u32 = 5;
    const IMAGES: u32 = 20;
    for page in 0..PAGES {
        images(&mut draft, IMAGES, page.into())?;
    }
    let popularity = Popularity::new(PAGES, 0.8);
    let span = options.video_ms(10.0);
    for (n, arrive) in (0..).zip(draft.arrivals(options.viewers_or(1000), span)) {
        let first = ContentNo(draft.zipf(&popularity, n) * IMAGES);
        let stay = between(draft.unit(Purpose::Visit, n, 0), 10_000, 60_000);
        draft.visit(arrive, Some(arrive + stay), Plan::Page { first, count: IMAGES });
    }
    Ok(draft.done(span + 120_000))
}

/// A live stream of five minutes: a segment of 1 MB every two seconds, a content of
/// its own that exists from then on. Viewers come within a minute, begin two
/// segments behind and stay to the end. Shows offload where everybody wants what
/// nobody has yet.
pub fn live(mut draft: Draft, options: &Options) -> Result<World> {
    const SEGMENT_MS: u64 = 2_000;
    const BEHIND: u64 = 2;
    const FIRST: u64 = 10_000;
    let ms = options.video_ms(5.0).max(20_000);
    let segments = ms / SEGMENT_MS;
    for segment in 1..=segments {
        // Complete when its last frame is.
        draft.content(VIDEO_RATE * SEGMENT_MS / 1000, segment * SEGMENT_MS)?;
    }
    let span = 60_000.min(ms / 2);
    for arrive in draft.arrivals(options.viewers_or(500), span) {
        let arrive = FIRST + arrive;
        let there = arrive / SEGMENT_MS;
        let first = there.saturating_sub(BEHIND).min(segments - 1);
        let (count, first) = (fit(segments - first), ContentNo(fit(first)));
        draft.visit(arrive, None, Plan::Live { first, count, bytes_per_s: VIDEO_RATE });
    }
    Ok(draft.done(FIRST + 2 * ms + 120_000))
}

/// The visits of thesis section 5.1.3: half for a page of ten images, of 5 to 60 s,
/// half for a two-minute video, of which most see only a part. Half of those who
/// leave do so without a word. Shows what is lost when peers go.
pub fn churn(mut draft: Draft, options: &Options) -> Result<World> {
    const IMAGES: u32 = 10;
    let ms = options.video_ms(2.0);
    let first = ContentNo(0);
    images(&mut draft, IMAGES, 0)?;
    let video = draft.video(ms)?;
    draft.world.net.silent_leave_percent = 50.0;
    let span = 600_000;
    for (n, arrive) in (0..).zip(draft.arrivals(options.viewers_or(1000), span)) {
        let draw = draft.unit(Purpose::Visit, n, 0);
        if draft.unit(Purpose::Choice, n, 0) < 0.5 {
            let leave = Some(arrive + between(draw, 5_000, 60_000));
            draft.visit(arrive, leave, Plan::Page { first, count: IMAGES });
        } else {
            let to_end = draft.unit(Purpose::Choice, n, 1) < 0.3;
            let leave = (!to_end).then_some(arrive + between(draw, 5_000, ms));
            let plan = Plan::Video { content: video, bytes_per_s: VIDEO_RATE };
            draft.visit(arrive, leave, plan);
        }
    }
    Ok(draft.done(span + 3 * ms + 60_000))
}

/// Images of 100 to 600 KB, small ones more often.
fn images(draft: &mut Draft, count: u32, page: u64) -> Result<()> {
    for image in 0..count {
        let draw = draft.unit(Purpose::Size, page, image.into()).powi(2);
        draft.content(100_000 + whole(draw * 500_000.0), 0)?;
    }
    Ok(())
}
