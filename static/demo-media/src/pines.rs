//! Wooded ridges in morning fog, as paper cut-outs one behind the other.

use glam::{Vec2, Vec3, vec2, vec3};

use crate::film::Picture;
use crate::noise::{fbm, lerp, smoothstep, unit};

const LAYERS: i32 = 9;

/// The picture, with `fine` x `fine` samples for each pixel. Its shape is 3:2.
pub fn take(size: (usize, usize), fine: usize) -> Picture {
    let scale = 1.0 / (size.1 * fine) as f32;
    Picture::from_fn(size.0, size.1, |x, y| {
        let mut sum = Vec3::ZERO;
        for i in 0..fine * fine {
            let q = vec2((x * fine + i % fine) as f32, (y * fine + i / fine) as f32) + 0.5;
            sum += light(q * scale);
        }
        sum / (fine * fine) as f32
    })
}

/// Light at a place of the picture; y goes from 0 at the top to 1.
fn light(p: Vec2) -> Vec3 {
    let sun = vec2(1.04, 0.20);
    let off = (p - sun).length();
    let glow =
        vec3(1.15, 0.62, 0.26) * (0.80 * (-off * 2.3).exp() + 0.5 * (-off * off * 60.0).exp());
    let sky =
        vec3(0.16, 0.30, 0.42).lerp(vec3(0.44, 0.46, 0.48), smoothstep(0.0, 0.55, p.y)) + glow;
    let disc = vec3(3.2, 2.5, 1.7) * smoothstep(0.0372, 0.0358, off);
    let streak = fbm(vec2(p.x * 1.6, p.y * 9.0), 5, 31);
    let mut light = (sky + disc) * (1.0 + 0.14 * streak);

    for layer in 0..LAYERS {
        // 0 far to 1 near.
        let near = (layer as f32 + 0.5) / LAYERS as f32;
        let far = 1.0 - near;
        let top = ridge(p.x, near, layer);
        let tall = lerp(0.010, 0.25, near.powf(2.1));
        let depth = p.y - top;
        if depth < -tall * 1.2 || !(depth > 0.0 || in_tree(p, near, tall, layer)) {
            continue;
        }
        let fog = vec3(0.36, 0.45, 0.50) + glow * 0.80;
        let dark = vec3(0.006, 0.020, 0.026) + vec3(0.02, 0.016, 0.008) * glow.x;
        let haze = far.powf(0.75) * 0.92;
        // Fog lies in the hollow before the next ridge.
        let drift = 0.11 * fbm(vec2(p.x * 2.2 + near * 7.0, p.y * 6.0), 5, 60 + layer as u32);
        let pool =
            smoothstep(0.0, lerp(0.10, 0.42, near), depth + drift * smoothstep(0.0, 0.1, depth));
        let pool = pool * lerp(0.95, 0.42, near * near);
        let lit = dark.lerp(fog * lerp(1.0, 0.72, near), haze);
        light = lit.lerp(fog * lerp(1.03, 0.70, near), pool);
    }
    light
}

fn ridge(x: f32, near: f32, layer: i32) -> f32 {
    let seed = 200 + layer as u32;
    let wide = lerp(2.6, 1.1, near);
    let base = lerp(0.40, 1.02, near.powf(1.25));
    let rise = lerp(0.13, 0.17, near);
    base - rise * fbm(vec2(x * wide + 3.7 * layer as f32, 0.5), 6, seed) * 1.5
        - 0.10 * smoothstep(0.75, 0.1, (x - 0.25 - 0.8 * unit(layer, 3, 9)).abs()) * near
}

/// Whether a place above the ridge is inside a tree that stands on it.
fn in_tree(p: Vec2, near: f32, tall: f32, layer: i32) -> bool {
    let spacing = tall * 0.155;
    let cell = (p.x / spacing).floor() as i32;
    (-4..=4).any(|d| {
        let i = cell + d;
        let seed = 400 + layer as u32;
        let x = (i as f32 + unit(i, 0, seed)) * spacing;
        let size = tall * lerp(0.34, 1.0, unit(i, 1, seed).powf(1.5));
        let root = ridge(x, near, layer) + tall * 0.04;
        let up = (root - p.y) / size;
        (0.0..1.0).contains(&up) && inside(vec2((p.x - x) / size, up), i, seed)
    })
}

/// Whether a place is inside a fir of height 1.
fn inside(p: Vec2, tree: i32, seed: u32) -> bool {
    let down = 1.0 - p.y;
    let slim = lerp(0.15, 0.22, unit(tree, 2, seed));
    let whorls = lerp(11.0, 17.0, unit(tree, 3, seed));
    let lean = 0.012 * (p.y * 5.0 + unit(tree, 4, seed) * 6.0).sin();
    let side = if p.x > lean { 1 } else { -1 };
    let reach = down * whorls + 0.5 * (side as f32 + 1.0) * 0.43;
    let whorl = reach.floor() as i32;
    let bough = reach - reach.floor();
    let length = 0.62 + 0.55 * unit(tree * 64 + whorl, side, seed + 9);
    let ragged = 1.0 + 0.55 * fbm(vec2(p.y * 46.0, p.x * 60.0 + tree as f32), 3, seed + 10);
    let width = slim * down.powf(0.85) * (0.35 + 0.65 * bough.powf(0.7)) * length * ragged;
    let trunk = 0.006 + 0.010 * down;
    (p.x - lean).abs() < width.max(trunk)
}
