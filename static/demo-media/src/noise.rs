//! Gradient noise on a hashed lattice.
//!
//! Written out here and not taken from a library because the terrain needs noise
//! that repeats exactly (the map is a torus) and is cheap enough to be asked for
//! some billions of times.

use std::f32::consts::FRAC_1_SQRT_2;

use glam::{Vec2, vec2};

/// Lattice mask of noise that does not repeat.
pub const ENDLESS: i32 = -1;

/// A hash of a lattice point.
pub fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = seed.wrapping_mul(0x9E37_79B1)
        ^ (x as u32).wrapping_mul(0x85EB_CA77)
        ^ (y as u32).wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// A number in `0..1` for a lattice point.
pub fn unit(x: i32, y: i32, seed: u32) -> f32 {
    (hash(x, y, seed) >> 8) as f32 / (1 << 24) as f32
}

/// Gradient noise, about `-1..1`, with one feature per unit. `mask` is the
/// lattice's period less one (a power of two less one), or [`ENDLESS`].
pub fn gradient(p: Vec2, mask: i32, seed: u32) -> f32 {
    let cell = p.floor();
    let f = p - cell;
    let (x, y) = (cell.x as i32, cell.y as i32);
    let corner = |dx: i32, dy: i32| {
        let h = hash((x + dx) & mask, (y + dy) & mask, seed);
        let d = f - vec2(dx as f32, dy as f32);
        let (u, v) = if h & 4 == 0 { (d.x, d.y) } else { (d.y, d.x) };
        let v = if h & 8 == 0 { v } else { v * FRAC_1_SQRT_2 };
        (if h & 1 == 0 { u } else { -u }) + (if h & 2 == 0 { v } else { -v })
    };
    let w = f * f * f * (f * (f * 6.0 - 15.0) + 10.0);
    let top = lerp(corner(0, 0), corner(1, 0), w.x);
    let bottom = lerp(corner(0, 1), corner(1, 1), w.x);
    lerp(top, bottom, w.y)
}

/// Octaves of [`gradient`], each of half the size and half the weight; about `-1..1`.
pub fn fbm(p: Vec2, octaves: u32, seed: u32) -> f32 {
    fbm_on(p, octaves, ENDLESS, seed)
}

/// [`fbm`] on a lattice with a period; see [`gradient`].
pub fn fbm_on(mut p: Vec2, octaves: u32, mut mask: i32, seed: u32) -> f32 {
    let (mut sum, mut weight) = (0.0, 0.5);
    for octave in 0..octaves {
        sum += weight * gradient(p, mask, seed.wrapping_add(octave * 101));
        p *= 2.0;
        mask = mask.wrapping_mul(2).wrapping_add(1);
        weight *= 0.5;
    }
    sum
}

/// Octaves with creases where [`gradient`] crosses zero: ridges, folds; about `0..1`.
pub fn ridged(mut p: Vec2, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight) = (0.0, 0.5);
    for octave in 0..octaves {
        let crest = 1.0 - gradient(p, ENDLESS, seed.wrapping_add(octave * 101)).abs();
        sum += weight * crest * crest;
        p = vec2(p.x * 0.8 - p.y * 0.6, p.x * 0.6 + p.y * 0.8) * 2.03;
        weight *= 0.5;
    }
    sum
}

/// A point moved about by noise: the source of folds and eddies.
pub fn warp(p: Vec2, amount: f32, octaves: u32, seed: u32) -> Vec2 {
    p + amount
        * vec2(
            fbm(p, octaves, seed.wrapping_add(7)),
            fbm(p + vec2(31.7, 11.3), octaves, seed.wrapping_add(8)),
        )
}

/// Linear interpolation.
pub fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `a`, 1 above `b`, a smooth step between.
pub fn smoothstep(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
