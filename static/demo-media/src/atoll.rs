//! An atoll from straight above.

use glam::{Vec2, Vec3, vec2, vec3};

use crate::film::Picture;
use crate::noise::{ENDLESS, fbm, gradient, lerp, ridged, smoothstep, warp};

/// The picture, with `fine` x `fine` samples for each pixel.
pub fn take(size: (usize, usize), fine: usize) -> Picture {
    let scale = 1.0 / (size.1 * fine) as f32;
    let middle = vec2(size.0 as f32 / size.1 as f32, 1.0) * 0.5;
    Picture::from_fn(size.0, size.1, |x, y| {
        let mut sum = Vec3::ZERO;
        for i in 0..fine * fine {
            let q = vec2((x * fine + i % fine) as f32, (y * fine + i / fine) as f32) + 0.5;
            sum += light(q * scale - middle);
        }
        sum / (fine * fine) as f32
    })
}

/// Light at a place; the picture is 1 high.
fn light(p: Vec2) -> Vec3 {
    let h = ground(p);
    let e = 0.0011;
    let slope = vec2(ground(p + vec2(e, 0.0)) - h, ground(p + vec2(0.0, e)) - h) / e;
    let mut light = if h < 0.0 { sea(p, -h, slope) } else { land(p, h, slope) };

    // Surf breaks on the outer edge of the reef, and licks the sand.
    let swell = fbm(p * 26.0, 4, 21);
    let outer = smoothstep(0.30, 0.44, radius(p).0);
    let lace = ridged(warp(p * 95.0, 0.5, 2, 22), 4, 23);
    let reef = smoothstep(0.016, 0.0, (h + 0.026 + 0.010 * swell).abs());
    let surf = reef * outer * smoothstep(0.56, 0.86, lace + 0.20 * swell + 0.10);
    let lick = smoothstep(0.005, 0.0, (h + 0.003 + 0.002 * swell).abs());
    light = light.lerp(vec3(0.93, 0.97, 1.0), (surf * 0.9 + lick * 0.55).min(1.0));

    // Small clouds, and their shadows to the lower right.
    let shadow = cloud(p - vec2(0.040, 0.052));
    light *= 1.0 - 0.42 * shadow;
    let here = cloud(p);
    let thick = cloud(p + vec2(0.012, 0.014));
    let white = vec3(1.04, 1.02, 1.0) * (0.80 + 0.55 * (here - thick).clamp(-0.35, 0.4));
    light.lerp(white, here * 0.96)
}

/// Distance from the middle, bent, and the angle.
fn radius(p: Vec2) -> (f32, f32) {
    let q = warp(p * 2.3, 0.42, 5, 11) / 2.3 + vec2(0.03, 0.0);
    let q = vec2(q.x * 0.76 + q.y * 0.16, q.y * 0.98 - q.x * 0.10);
    (q.length(), q.y.atan2(q.x))
}

/// Height of sand and coral over the sea; 0.1 is about as deep as colour goes.
fn ground(p: Vec2) -> f32 {
    let (r, turn) = radius(p);
    let wide = 0.042 + 0.018 * (turn * 2.0 + 0.6).sin();
    let ring = (-((r - 0.335) / wide).powi(2)).exp();
    // Passes through the ring, and motus where it is high.
    let along = fbm(vec2(turn.cos(), turn.sin()) * 2.4, 5, 12);
    let rim = ring * (0.112 + 0.11 * along + 0.045 * fbm(p * 20.0, 4, 13));
    let lagoon = smoothstep(0.40, 0.28, r);
    let bed = lerp(-0.42, -0.092, lagoon) + lagoon * 0.035 * fbm(p * 6.0, 5, 14);
    let heads = lagoon * 0.075 * smoothstep(0.24, 0.46, fbm(warp(p * 17.0, 0.4, 2, 15), 4, 16));
    let apron = 0.26 * smoothstep(0.47, 0.345, r) * (1.0 - lagoon);
    let islet = 0.16
        * (-((p - vec2(0.10, -0.055)).length() / 0.052).powi(2)).exp()
        * (1.0 + 0.8 * fbm(p * 24.0, 4, 17));
    bed + rim + apron + heads + islet
}

fn sea(p: Vec2, depth: f32, slope: Vec2) -> Vec3 {
    let sand = vec3(0.92, 0.84, 0.66) * (1.0 + 0.10 * fbm(p * 60.0, 4, 31));
    let coral = vec3(0.30, 0.25, 0.17);
    let grown = smoothstep(0.02, 0.34, fbm(p * 34.0, 5, 32) + 0.25 * smoothstep(0.05, 0.02, depth));
    let bottom = sand.lerp(coral, grown * 0.62 * smoothstep(0.004, 0.02, depth));
    let bottom = bottom * (1.0 - (slope.x + slope.y) * 0.10).clamp(0.6, 1.4);
    // Light on the bottom in a net of bright lines.
    let net = 1.0 - gradient(warp(p * 150.0, 0.8, 2, 33), ENDLESS, 34).abs() * 2.0;
    let bottom = bottom * (1.0 + 0.22 * net.max(0.0).powi(3) * smoothstep(0.10, 0.02, depth));
    let left = (vec3(20.0, 4.6, 3.2) * -depth * 1.45).map(f32::exp);
    let deep = vec3(0.004, 0.040, 0.105);
    let scatter = vec3(0.01, 0.31, 0.36) * (1.0 - (-depth * 26.0).exp()) * (-depth * 7.5).exp();
    let wind = 1.0 + 0.16 * fbm(vec2(p.x * 20.0 + p.y * 9.0, p.y * 46.0 - p.x * 12.0), 5, 35);
    bottom * left + (deep + scatter) * wind
}

fn land(p: Vec2, h: f32, slope: Vec2) -> Vec3 {
    let sand = vec3(0.95, 0.87, 0.70);
    let palm = fbm(p * 190.0, 3, 41);
    let green = vec3(0.035, 0.10, 0.028).lerp(vec3(0.13, 0.22, 0.05), smoothstep(-0.4, 0.4, palm));
    let grown = smoothstep(0.016, 0.030, h + 0.010 * fbm(p * 70.0, 4, 42));
    let side = gradient(p * 240.0, ENDLESS, 43) * 0.30 * grown;
    sand.lerp(green, grown) * (1.0 - (slope.x + slope.y) * 0.12 + side).clamp(0.45, 1.5)
}

fn cloud(p: Vec2) -> f32 {
    let q = warp(p * 3.4, 0.35, 5, 51);
    let puff = fbm(q, 7, 52) + 0.35 * fbm(p * 1.1 + 4.0, 2, 53);
    smoothstep(0.30, 0.52, puff)
}
