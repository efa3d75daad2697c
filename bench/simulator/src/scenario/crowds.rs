//! Scenarios in which all want the same.

use anyhow::Result;

use super::{Draft, Options, VIDEO_RATE};
use crate::event::ContentNo;
use crate::network::LineClass;
use crate::world::{Plan, World};

/// Bytes of the thesis's image (section 4.2).
const THESIS_IMAGE: u64 = 3_200_000;

/// Five seeds hold the thesis's image; a client opens it when they are there. Shows
/// the times to first and last byte of each configuration against plain HTTP, as
/// the thesis's Table 2. With `--viewers` n clients come one after the other, each
/// after the one before has left.
pub fn thesis(mut draft: Draft, options: &Options) -> Result<World> {
    const FIRST: u64 = 5_000;
    const APART: u64 = 30_000;
    let clients = options.viewers_or(1);
    let image = draft.content(THESIS_IMAGE, 0)?;
    let end = FIRST + APART * u64::from(clients);
    // Whoever fetches it stays no longer than it takes to look at it.
    draft.world.net.silent_leave_percent = 0.0;
    for _ in 0..5 {
        draft.visit(0, None, Plan::Seed(image));
    }
    for client in 0..u64::from(clients) {
        let arrive = FIRST + APART * client;
        draft.visit(arrive, Some(arrive + 20_000), Plan::Page { first: image, count: 1 });
    }
    Ok(draft.done(end))
}

/// Visitors who come at the same moment for one file of 10 MB, with good lines and an
/// origin of 20 Mbit/s. The end-to-end tests have the same with eight real browsers.
pub fn together(mut draft: Draft, options: &Options) -> Result<World> {
    const LENGTH: u64 = 10_000_000;
    let file = draft.content(LENGTH, 0)?;
    let net = &mut draft.world.net;
    net.lines = vec![LineClass { percent: 100.0, down_kbit: 500_000, up_kbit: 100_000 }];
    net.access_delay_ms = (4, 5);
    (net.nat_percent, net.worst_loss, net.first_visit_percent) = (0.0, 0.0, 0.0);
    net.origin.mbit = options.origin_mbit.or(Some(20));
    for _ in 0..options.viewers_or(8) {
        draft.visit(0, Some(120_000), Plan::Page { first: file, count: 1 });
    }
    Ok(draft.done(130_000))
}

/// Everybody comes within a minute and watches all of a 10-minute video. Shows that
/// the origin sends little more than one copy to a crowd, and that nobody stalls
/// more than with an origin that knows no limit.
pub fn flash_crowd(mut draft: Draft, options: &Options) -> Result<World> {
    let ms = options.video_ms(10.0);
    let video = draft.video(ms)?;
    watch(&mut draft, options.viewers_or(500), video, 60_000, 0);
    Ok(draft.done(60_000 + 3 * ms + 60_000))
}

/// A crowd of which a fifth sends wrong bytes. Shows that not one of them is used,
/// that liars are banned, and what they cost.
pub fn poison(mut draft: Draft, options: &Options) -> Result<World> {
    let ms = options.video_ms(2.0);
    let video = draft.video(ms)?;
    draft.world.net.liar_percent = 20.0;
    watch(&mut draft, options.viewers_or(500), video, 60_000, 5_000);
    Ok(draft.done(60_000 + 3 * ms + 60_000))
}

/// A crowd of which half uploads at 50 KB/s and a tenth stops now and then. Shows
/// that slow peers are not waited for.
pub fn slow_peers(mut draft: Draft, options: &Options) -> Result<World> {
    let ms = options.video_ms(2.0);
    let video = draft.video(ms)?;
    draft.world.net.slow_percent = 50.0;
    draft.world.net.stalling_percent = 10.0;
    watch(&mut draft, options.viewers_or(500), video, 60_000, 5_000);
    Ok(draft.done(60_000 + 3 * ms + 60_000))
}

/// Viewers come over five minutes for a five-minute video, and the origin is down
/// from the third minute to the fourth. Shows that those who watch go on watching.
pub fn origin_outage(mut draft: Draft, options: &Options) -> Result<World> {
    let ms = options.video_ms(5.0);
    let video = draft.video(ms)?;
    draft.world.net.origin.down = Some((120_000, 180_000));
    watch(&mut draft, options.viewers_or(300), video, 300_000, 5_000);
    Ok(draft.done(300_000 + 3 * ms + 120_000))
}

/// A 30-second video for any number of viewers, who come over a minute or, where they are
/// more than 10,000, at that rate for longer. Shows what a viewer costs the server and its
/// own browser.
pub fn scale(mut draft: Draft, options: &Options) -> Result<World> {
    let ms = options.video_ms(0.5);
    let video = draft.video(ms)?;
    let viewers = options.viewers_or(1000);
    let span = (u64::from(viewers) * 60_000 / 10_000).max(60_000);
    watch(&mut draft, viewers, video, span, 5_000);
    Ok(draft.done(span + 4 * ms + 60_000))
}

fn watch(draft: &mut Draft, viewers: u32, content: ContentNo, span: u64, stay_ms: u32) {
    for arrive in draft.arrivals(viewers, span) {
        draft.visit(arrive, None, Plan::Video { content, bytes_per_s: VIDEO_RATE });
    }
    for visit in &mut draft.world.visits {
        visit.stay_ms = stay_ms;
    }
}
