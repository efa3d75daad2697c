//! The film: once around the high peaks, at sunrise, above the fog.
//!
//! Each frame is far cheaper than a picture: light on the ground, the fog's
//! surface and the sky do not change, so they are painted once, on maps, and a
//! frame only looks them up. The path is a circle, so the film ends where it begins.

use std::f32::consts::{PI, TAU};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use glam::{Vec2, Vec3, vec2, vec3};
use rayon::prelude::*;

use crate::air::{Air, direction};
use crate::camera::{Camera, EARTH_DIAMETER, Ray, Scene, take};
use crate::film::{Development, Picture};
use crate::grid::Grid;
use crate::landscape::{Clouds, Cover, Landscape, Mist};
use crate::noise::{gradient, lerp, smoothstep};
use crate::terrain::{SPAN, Terrain};

/// Pixels of a frame.
pub const SIZE: (usize, usize) = (1280, 720);
/// Seconds of the film.
pub const SECONDS: usize = 30;
/// Part of the film at which the poster was taken.
pub const POSTER: f32 = 0.86;
const FRAMES_PER_SECOND: usize = 24;
const MIST: Mist = Mist { top: 1180.0, swell: 130.0, density: 0.0042 };

/// The maps.
pub struct Flight {
    air: Air,
    height: Grid,
    /// Light that the ground sends, as fine as `height`.
    ground: Vec<Vec3>,
    /// Metres of the fog's surface.
    mist: Grid,
    /// How much of the sun the fog's surface sees.
    mist_sun: Grid,
    /// Light of the sky on the fog.
    shade: Vec3,
    sky: Picture,
}

impl Flight {
    /// Paints the maps. Takes about a minute.
    pub fn new(terrain: &Terrain) -> Self {
        let air = Air {
            sun: direction(60.0, 8.0),
            sunlight: vec3(4.1, 2.4, 1.25),
            zenith: vec3(0.045, 0.12, 0.31),
            horizon: vec3(0.37, 0.33, 0.40),
            glow: vec3(1.6, 0.72, 0.24),
            gradient: 4.6,
            haze: 3.6e-5,
            haze_height: 1700.0,
            disc: false,
        };
        let mut scene = Landscape::new(terrain, air.clone());
        scene.cover = Cover { snowline: 1750.0, ..Cover::default() };
        scene.clouds = Some(Clouds {
            height: 6800.0,
            size: 9000.0,
            cover: -0.06,
            stretch: 2.4,
            shade: vec3(0.27, 0.26, 0.36),
            lit: vec3(1.5, 0.82, 0.52),
        });

        let n = 4096;
        let cell = SPAN / n as f32;
        let place = |i: usize| vec2((i % n) as f32, (i / n) as f32) * cell;
        let height = Grid::from_fn(n, cell, |x, y| terrain.height(place(y * n + x), cell * 0.7));
        let ground = (0..n * n)
            .into_par_iter()
            .map(|i| {
                let p = place(i);
                scene.painted(vec3(p.x, height.data[i], p.y), cell * 0.7)
            })
            .collect();

        let mist = MIST.surface();
        let (n, cell) = (mist.n, mist.cell);
        let toward = vec2(air.sun.x, air.sun.z);
        let mist_sun = Grid::from_fn(n, cell, |x, y| {
            let p = vec2(x as f32, y as f32) * cell;
            let here = mist.data[y * n + x];
            let crest = mist.linear(p + toward * 260.0) - here - 260.0 * air.sun.y;
            let near = mist.linear(p + toward * 90.0) - here - 90.0 * air.sun.y;
            let open = 1.0 / (1.0 + (crest.max(-20.0) + 20.0) * 0.03);
            let tilt = (0.5 - near * 0.022).clamp(0.1, 1.0);
            open * tilt * scene.lit(vec3(p.x, here, p.y), 90.0)
        });

        let lens = Vec3::new(0.0, 2400.0, 0.0);
        let sky = Picture::from_fn(4096, 640, |x, y| {
            let dir = direction(x as f32 / 4096.0 * 360.0, y as f32 / 640.0 * 45.0);
            scene.sky(lens, dir)
        });
        let shade = air.ambient(Vec3::Y);
        Self { air, shade, height, ground, mist, mist_sun, sky }
    }

    /// Where the camera is, with the film's part that has passed, 0 to 1.
    fn camera(&self, part: f32) -> Camera {
        let turn = part * TAU;
        let eye = MIDDLE + vec2(turn.sin(), turn.cos()) * RADIUS;
        let heading = (turn + PI * 0.5).to_degrees() + INWARD + 7.0 * (turn + 0.8).sin();
        let height = 2760.0 + 120.0 * (turn * 2.0 + 1.1).sin();
        Camera { eye: vec3(eye.x, height, eye.y), heading, width: 64.0, horizon: 0.37 }
    }

    /// A frame, with the film's part that has passed, 0 to 1.
    pub fn frame(&self, part: f32, size: (usize, usize), fine: usize) -> Vec<u8> {
        let drift = vec2((part * TAU).sin(), (part * TAU).cos()) * 120.0;
        let how = Development {
            grain: 0.5,
            exposure: 0.92,
            saturation: 1.2,
            bloom: 0.07,
            ..Development::default()
        };
        let moment = Moment { flight: self, drift };
        take(&moment, &self.camera(part), size, fine).develop(&how, 3)
    }

    /// Writes the film, with sound from a WAV file.
    pub fn write(&self, path: &Path, sound: &Path) -> Result<()> {
        let frames = SECONDS * FRAMES_PER_SECOND;
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-y"])
            .args(["-f", "rawvideo", "-pixel_format", "rgb24"])
            .args(["-video_size", &format!("{}x{}", SIZE.0, SIZE.1)])
            .args(["-framerate", &FRAMES_PER_SECOND.to_string(), "-i", "-"])
            .arg("-i")
            .arg(sound)
            // What browsers everywhere play: H.264 main, 4:2:0, colours as TVs have them.
            .args(["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"])
            .args(["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"])
            .args(["-c:v", "libx264", "-profile:v", "main", "-level", "3.1", "-preset", "slow"])
            .args(["-b:v", "2050k", "-maxrate", "3200k", "-bufsize", "6400k", "-g", "48"])
            .args(["-threads", "2", "-c:a", "aac", "-b:a", "96k", "-shortest"])
            // The index first, so that a player can start with the first bytes.
            .args(["-movflags", "+faststart", "-map_metadata", "-1", "-fflags", "+bitexact"])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .context("starting ffmpeg (Debian: apt install ffmpeg)")?;
        let mut pipe = ffmpeg.stdin.take().context("ffmpeg's input")?;
        for frame in 0..frames {
            pipe.write_all(&self.frame(frame as f32 / frames as f32, SIZE, 2))?;
            if frame % FRAMES_PER_SECOND == 0 {
                println!("{}: second {} of {SECONDS}", path.display(), frame / FRAMES_PER_SECOND);
            }
        }
        drop(pipe);
        ensure!(ffmpeg.wait()?.success(), "ffmpeg failed");
        Ok(())
    }

    fn sky(&self, dir: Vec3) -> Vec3 {
        let u = dir.x.atan2(dir.z).rem_euclid(TAU) / TAU * self.sky.width as f32;
        let v = dir.y.max(0.0).asin().to_degrees() / 45.0 * self.sky.height as f32;
        let v = v.min(self.sky.height as f32 - 1.001);
        let (x, y) = (u as usize, v as usize);
        let get = |x: usize, y: usize| self.sky.pixels[y * self.sky.width + x % self.sky.width];
        let (fx, fy) = (u - x as f32, v - y as f32);
        let light =
            get(x, y).lerp(get(x + 1, y), fx).lerp(get(x, y + 1).lerp(get(x + 1, y + 1), fx), fy);
        let off = 1.0 - dir.dot(self.air.sun);
        light + self.air.sunlight * 6.0 * smoothstep(4.6e-5, 3.2e-5, off)
    }

    fn painted(&self, p: Vec2) -> Vec3 {
        let q = p / self.height.cell;
        let c = q.floor();
        let f = q - c;
        let n = self.height.n;
        let mask = n as i32 - 1;
        let (x, y) = (c.x as i32, c.y as i32);
        let get = |x: i32, y: i32| self.ground[(y & mask) as usize * n + (x & mask) as usize];
        get(x, y).lerp(get(x + 1, y), f.x).lerp(get(x, y + 1).lerp(get(x + 1, y + 1), f.x), f.y)
    }
}

/// Middle and radius of the path in metres, and degrees by which the lens looks inwards.
const MIDDLE: Vec2 = vec2(44_544.0, 18_432.0);
const RADIUS: f32 = 5200.0;
const INWARD: f32 = 16.0;

struct Moment<'a> {
    flight: &'a Flight,
    /// Metres by which the fog has moved.
    drift: Vec2,
}

impl Moment<'_> {
    /// The fog in front of what is `end` metres away: its light, and how much it hides.
    fn veil(&self, ray: &Ray, end: f32) -> Option<(Vec3, f32)> {
        let flight = self.flight;
        if ray.dir.y > -1e-4 {
            return None;
        }
        // Where the ray meets the surface: the mean level first, then twice corrected.
        let meet = |level: f32| (ray.eye.y - level) / -ray.dir.y;
        let mut distance = meet(MIST.top);
        for _ in 0..2 {
            let p = ray.at(distance);
            let sink = distance * distance / EARTH_DIAMETER;
            let level = flight.mist.linear(vec2(p.x, p.z) + self.drift) - sink;
            distance = lerp(distance, meet(level), 0.85);
        }
        if distance <= 0.0 || distance >= end {
            return None;
        }
        let inside = (end - distance).min(30_000.0);
        let cover = 1.0 - (-inside * (MIST.density + inside * 4e-6)).exp();
        let p = ray.at(distance);
        let sun = flight.mist_sun.linear(vec2(p.x, p.z) + self.drift);
        let near = ray.dir.dot(flight.air.sun).max(0.0);
        let forward = 0.30 + 0.30 * near.powi(4) + 0.45 * near.powi(20);
        let glow = flight.air.sunlight * sun * forward * 0.80 + flight.shade * 0.75;
        Some((flight.air.through(ray.eye, ray.dir, distance, glow), cover))
    }

    /// Light from the ground or the sky behind the fog.
    fn behind(&self, ray: &Ray) -> Vec3 {
        let Some(distance) = ray.hit else { return self.flight.sky(ray.dir) };
        let p = ray.at(distance);
        let place = vec2(p.x, p.z);
        let mut light = self.flight.painted(place);
        if distance < 6000.0 {
            // Finer than the map.
            let n = gradient(place / (SPAN / 8192.0), 8191, 91);
            let m = gradient(place / (SPAN / 32_768.0), 32_767, 92);
            light *= 1.0 + (0.28 * n + 0.22 * m) * smoothstep(6000.0, 1500.0, distance);
        }
        self.flight.air.through(ray.eye, ray.dir, distance, light)
    }
}

impl Scene for Moment<'_> {
    fn height(&self, place: Vec2, _footprint: f32) -> f32 {
        self.flight.height.linear(place)
    }

    fn stride(&self, depth: f32, pixel: f32) -> f32 {
        // The path keeps far from the ground.
        if depth < 1100.0 { 200.0 } else { (depth * pixel * 6.0).clamp(9.0, 70.0) }
    }

    fn colour(&self, ray: &Ray) -> Vec3 {
        match self.veil(ray, ray.hit.unwrap_or(f32::INFINITY)) {
            None => self.behind(ray),
            Some((light, cover)) if cover > 0.995 => light,
            Some((light, cover)) => self.behind(ray).lerp(light, cover),
        }
    }
}
