//! From light to a file: glow, tone, grain, JPEG.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use glam::{Vec3, vec2, vec3};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use rayon::prelude::*;

use crate::noise::unit;

/// Linear light, red, green and blue, row by row from the top.
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The pixels.
    pub pixels: Vec<Vec3>,
}

/// How a picture is developed.
#[derive(Clone, Copy)]
pub struct Development {
    /// Factor on the light.
    pub exposure: f32,
    /// Share of the light that the lens spreads.
    pub bloom: f32,
    /// Factor on the distance from grey.
    pub saturation: f32,
    /// Darkening of the corners, 0 to 1.
    pub vignette: f32,
    /// Standard deviation of the grain, in steps of 8-bit values.
    pub grain: f32,
}

impl Default for Development {
    fn default() -> Self {
        Self { exposure: 1.0, bloom: 0.06, saturation: 1.15, vignette: 0.22, grain: 1.6 }
    }
}

impl Picture {
    /// A picture whose pixels are a function of column and row.
    pub fn from_fn(width: usize, height: usize, f: impl Fn(usize, usize) -> Vec3 + Sync) -> Self {
        let pixels = (0..width * height).into_par_iter().map(|i| f(i % width, i / width)).collect();
        Self { width, height, pixels }
    }

    /// Bytes, red, green and blue, as a screen shows them.
    pub fn develop(&self, how: &Development, seed: u32) -> Vec<u8> {
        let glow = (how.bloom > 0.0).then(|| Glow::of(self));
        let (w, h) = (self.width as f32, self.height as f32);
        (0..self.pixels.len())
            .into_par_iter()
            .flat_map_iter(|i| {
                let (x, y) = (i % self.width, i / self.width);
                let mut light = self.pixels[i];
                if let Some(glow) = &glow {
                    light = light.lerp(glow.at(x as f32 / w, y as f32 / h), how.bloom);
                }
                let off = vec2((x as f32 + 0.5) / w - 0.5, (y as f32 + 0.5) / h - 0.5);
                light *= how.exposure * (1.0 - how.vignette * 2.0 * off.length_squared());
                let shown = tone(light, how.saturation) * 255.0;
                let grain = how.grain * grain(x as i32, y as i32, seed);
                // Least grain in black and white, as on film; the rest hides banding.
                let grain = grain * (0.35 + 0.65 * (shown.y / 255.0 * 3.1).sin().max(0.0));
                let dither = unit(x as i32, y as i32, seed + 77) - 0.5;
                (shown + grain + dither).to_array().map(|v| v.round().clamp(0.0, 255.0) as u8)
            })
            .collect()
    }
}

/// Writes a progressive JPEG that has at most `most` bytes: of the qualities up to
/// `finest` that allow it, the best. Returns its size.
pub fn write_jpeg(
    path: &Path,
    bytes: &[u8],
    size: (usize, usize),
    most: usize,
    finest: u8,
) -> Result<usize> {
    let encode = |quality: u8| -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, quality);
        encoder.set_progressive(true);
        encoder.set_optimized_huffman_tables(true);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
        encoder.encode(bytes, u16::try_from(size.0)?, u16::try_from(size.1)?, ColorType::Rgb)?;
        Ok(file)
    };
    let (mut low, mut high) = (40, finest + 1);
    let mut best = encode(low)?;
    while high - low > 1 {
        let middle = (low + high) / 2;
        let file = encode(middle)?;
        if file.len() <= most {
            (low, best) = (middle, file);
        } else {
            high = middle;
        }
    }
    ensure!(best.len() <= most, "{} does not fit into {most} bytes", path.display());
    fs::write(path, &best).with_context(|| format!("writing {}", path.display()))?;
    println!("{}: {} bytes at quality {low}", path.display(), best.len());
    Ok(best.len())
}

/// Filmic curve (after K. Narkowicz's fit of the ACES curve), then sRGB. Very
/// bright colours turn pale, as on film.
fn tone(light: Vec3, saturation: f32) -> Vec3 {
    let weights = vec3(0.2126, 0.7152, 0.0722);
    let light = Vec3::splat(light.dot(weights)).lerp(light, saturation).max(Vec3::ZERO);
    let peak = light.max_element();
    let light = light.lerp(Vec3::splat(peak), 0.22 * peak / (peak + 3.0));
    let curve = |v: f32| (v * (2.51 * v + 0.03)) / (v * (2.43 * v + 0.59) + 0.14);
    light.to_array().map(|v| srgb(curve(v * 0.8).clamp(0.0, 1.0))).into()
}

fn srgb(v: f32) -> f32 {
    if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// Grain with a standard deviation of about 1, a little softer than single pixels.
fn grain(x: i32, y: i32, seed: u32) -> f32 {
    let one = |dx, dy| unit(x + dx, y + dy, seed) - 0.5;
    2.6 * (one(0, 0) + 0.5 * (one(1, 0) + one(0, 1)) + 0.25 * one(1, 1))
}

/// The picture, small and blurred over several distances.
struct Glow {
    width: usize,
    height: usize,
    pixels: Vec<Vec3>,
}

impl Glow {
    fn of(picture: &Picture) -> Self {
        let step = (picture.width / 320).max(1);
        let (width, height) = (picture.width / step, picture.height / step);
        let small = Picture::from_fn(width, height, |x, y| {
            let mut sum = Vec3::ZERO;
            for dy in 0..step {
                for dx in 0..step {
                    sum += picture.pixels[(y * step + dy) * picture.width + x * step + dx];
                }
            }
            sum / (step * step) as f32
        });
        let mut pixels = vec![Vec3::ZERO; width * height];
        for (radius, share) in [(2, 0.5), (8, 0.3), (28, 0.2)] {
            for (sum, v) in pixels.iter_mut().zip(blurred(&small, radius)) {
                *sum += v * share;
            }
        }
        Self { width, height, pixels }
    }

    fn at(&self, u: f32, v: f32) -> Vec3 {
        let (x, y) = (u * self.width as f32 - 0.5, v * self.height as f32 - 0.5);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let get = |dx: i32, dy: i32| {
            let x = (x.floor() as i32 + dx).clamp(0, self.width as i32 - 1) as usize;
            let y = (y.floor() as i32 + dy).clamp(0, self.height as i32 - 1) as usize;
            self.pixels[y * self.width + x]
        };
        get(0, 0).lerp(get(1, 0), fx).lerp(get(0, 1).lerp(get(1, 1), fx), fy)
    }
}

fn blurred(picture: &Picture, radius: i32) -> Vec<Vec3> {
    let (w, h) = (picture.width as i32, picture.height as i32);
    let pass = |from: &[Vec3], dx: i32, dy: i32| -> Vec<Vec3> {
        (0..w * h)
            .into_par_iter()
            .map(|i| {
                let (x, y) = (i % w, i / w);
                let mut sum = Vec3::ZERO;
                for k in -radius..=radius {
                    let x = (x + k * dx).clamp(0, w - 1);
                    let y = (y + k * dy).clamp(0, h - 1);
                    sum += from[(y * w + x) as usize];
                }
                sum / (2 * radius + 1) as f32
            })
            .collect()
    };
    let mut pixels = picture.pixels.clone();
    for _ in 0..3 {
        pixels = pass(&pass(&pixels, 1, 0), 0, 1);
    }
    pixels
}
