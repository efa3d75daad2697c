//! The country under a sky: ground, lakes, mist and clouds in one light.

use glam::{Vec2, Vec3, vec2, vec3};

use crate::air::Air;
use crate::camera::{EARTH_DIAMETER, Ray, Scene};
use crate::grid::Grid;
use crate::noise::{ENDLESS, fbm, fbm_on, gradient, lerp, smoothstep, warp};
use crate::terrain::{SPAN, Terrain};

/// A scene of the terrain.
pub struct Landscape<'a> {
    terrain: &'a Terrain,
    shadow: Grid,
    air: Air,
    /// What grows and lies on the rock.
    pub cover: Cover,
    /// Surface of the lakes.
    pub water: Water,
    mist: Option<(Mist, Grid)>,
    /// High clouds, if any.
    pub clouds: Option<Clouds>,
    /// Light from beyond the air in a direction: stars, planets, aurora.
    pub heavens: Option<Box<dyn Fn(Vec3) -> Vec3 + Sync + 'a>>,
}

/// Colours (reflectance) and heights of what covers the ground.
#[derive(Clone)]
pub struct Cover {
    /// Metres above which snow lies.
    pub snowline: f32,
    /// Metres below which something grows.
    pub treeline: f32,
    /// Snow.
    pub snow: Vec3,
    /// Two kinds of rock, in layers.
    pub rock: [Vec3; 2],
    /// Forest and meadow.
    pub green: [Vec3; 2],
}

/// Lakes.
#[derive(Clone)]
pub struct Water {
    /// Metres.
    pub level: f32,
    /// Mean slope of the ripples.
    pub ripple: f32,
    /// Light that comes out of the depth.
    pub depth: Vec3,
}

/// A sea of fog.
#[derive(Clone)]
pub struct Mist {
    /// Metres of its surface.
    pub top: f32,
    /// Metres by which the surface swells.
    pub swell: f32,
    /// Extinction per metre inside.
    pub density: f32,
}

impl Mist {
    /// Metres of its surface, everywhere.
    pub fn surface(&self) -> Grid {
        // Lattices that divide the country, so that the fog repeats with it.
        let on = |cells: i32, octaves: u32, seed: u32, p: Vec2| {
            fbm_on(p / (SPAN / cells as f32), octaves, cells - 1, seed)
        };
        let n = 2048;
        let cell = SPAN / n as f32;
        Grid::from_fn(n, cell, |x, y| {
            let p = vec2(x as f32, y as f32) * cell;
            let bent = p + vec2(on(16, 3, 61, p), on(16, 3, 62, p)) * 900.0;
            let billow = 1.0 - 2.2 * on(32, 6, 63, bent).abs();
            self.top + self.swell * (0.55 * billow + 0.6 * on(8, 2, 64, p))
        })
    }
}

/// A sheet of clouds.
#[derive(Clone)]
pub struct Clouds {
    /// Metres above the ground.
    pub height: f32,
    /// Metres from one cloud to the next.
    pub size: f32,
    /// How much of the sky they take, about -0.3 (little) to 0.3 (most).
    pub cover: f32,
    /// Stretch of the clouds along x.
    pub stretch: f32,
    /// Their colour where the sun does not reach.
    pub shade: Vec3,
    /// Their colour where it does.
    pub lit: Vec3,
}

impl Default for Cover {
    fn default() -> Self {
        Self {
            snowline: 1900.0,
            treeline: 1150.0,
            snow: vec3(0.86, 0.88, 0.92),
            rock: [vec3(0.155, 0.135, 0.12), vec3(0.075, 0.07, 0.072)],
            green: [vec3(0.022, 0.035, 0.018), vec3(0.085, 0.09, 0.03)],
        }
    }
}

impl<'a> Landscape<'a> {
    /// The terrain in a light, with plain cover, still lakes and nothing else.
    pub fn new(terrain: &'a Terrain, air: Air) -> Self {
        Self {
            terrain,
            shadow: terrain.shadow(air.sun),
            air,
            cover: Cover::default(),
            water: Water { level: 8.0, ripple: 0.02, depth: vec3(0.004, 0.012, 0.016) },
            mist: None,
            clouds: None,
            heavens: None,
        }
    }

    /// The same with mist in the valleys.
    pub fn with_mist(mut self, mist: Mist) -> Self {
        let surface = mist.surface();
        self.mist = Some((mist, surface));
        self
    }

    /// The sky in a direction, with all that is in it.
    pub fn sky(&self, eye: Vec3, dir: Vec3) -> Vec3 {
        let mut light = self.air.sky(dir);
        if let Some(heavens) = &self.heavens {
            // Near the horizon the air hides what is beyond it.
            light += heavens(dir) * smoothstep(0.0, 0.12, dir.y);
        }
        match &self.clouds {
            Some(clouds) => self.clouded(clouds, eye, dir, light),
            None => light,
        }
    }

    fn clouded(&self, clouds: &Clouds, eye: Vec3, dir: Vec3, light: Vec3) -> Vec3 {
        if dir.y < 0.004 {
            return light;
        }
        // Over a round earth the sheet comes down to the horizon, but not to infinity.
        let distance = clouds.height / (dir.y + 0.012);
        let place = vec2(eye.x, eye.z) + vec2(dir.x, dir.z) * distance;
        let at = |p: Vec2| {
            let p = vec2(p.x / clouds.stretch, p.y) / clouds.size;
            let p = warp(p, 0.55, 3, 610);
            fbm(p, 7, 600) * 1.5 + clouds.cover
        };
        let here = at(place);
        let thick = smoothstep(0.0, 0.55, here);
        if thick <= 0.0 {
            return light;
        }
        let toward = vec2(self.air.sun.x, self.air.sun.z).normalize_or_zero();
        let behind = at(place + toward * clouds.size * 0.10);
        let edge = (0.5 + 1.6 * (here - behind)).clamp(0.0, 1.0);
        let near = dir.dot(self.air.sun).max(0.0);
        let silver = self.air.glow * (near.powi(8) * 0.5 + near.powi(60) * 1.2) * (1.0 - thick);
        let shine = edge * (1.0 - 0.45 * thick) * (0.35 + 0.65 * near.powi(2));
        let cloud = clouds.shade.lerp(clouds.lit, shine) + silver;
        let cloud = self.air.through(eye, dir, distance * 0.4, cloud);
        light.lerp(cloud, thick * 0.92 * smoothstep(0.004, 0.05, dir.y))
    }

    /// How much of the sun a place sees, with an edge of `soft` metres.
    pub fn lit(&self, p: Vec3, soft: f32) -> f32 {
        smoothstep(-soft, soft, p.y - self.shadow.linear(vec2(p.x, p.z)))
    }

    /// Light that dry ground sends upwards, with no detail finer than `footprint` metres.
    pub fn painted(&self, p: Vec3, footprint: f32) -> Vec3 {
        self.ground(p, Vec3::NEG_Y, footprint)
    }

    fn ground(&self, p: Vec3, dir: Vec3, footprint: f32) -> Vec3 {
        let place = vec2(p.x, p.z);
        let normal = self.terrain.normal(place, footprint);
        let steep = 1.0 - normal.y;
        let standing = self.terrain.standing(place);
        let cover = &self.cover;

        // Layers of rock, tilted and folded.
        let depth = p.y + 0.18 * p.x + 0.11 * p.z + 260.0 * fbm(place / 2600.0, 3, 21);
        let layer = fbm(vec2(depth / 70.0, place.x / 900.0), 4, 22);
        let mut albedo = cover.rock[1].lerp(cover.rock[0], smoothstep(-0.6, 0.6, layer));
        albedo *= 1.0 + 0.5 * fbm(place / 14.0, 3, 23);

        let patchy = fbm(place / 260.0, 5, 24);
        let grows = smoothstep(150.0, -150.0, p.y - cover.treeline + 420.0 * patchy)
            * smoothstep(0.34, 0.16, steep + 0.10 * patchy);
        let wood = smoothstep(-0.12, 0.10, fbm(place / 520.0, 4, 25) - 0.0005 * (p.y - 500.0));
        let crowns = 1.0 + 0.7 * gradient(place / 9.0, ENDLESS, 26);
        albedo = albedo.lerp(cover.green[1].lerp(cover.green[0] * crowns, wood), grows);

        // Snow stays where it is high, flat and in hollows.
        let high = p.y - cover.snowline + 330.0 * patchy - standing * 0.9;
        let snow = smoothstep(-130.0, 130.0, high)
            * smoothstep(0.46, 0.30, steep + 0.12 * fbm(place / 40.0, 3, 27));
        albedo = albedo.lerp(cover.snow, snow);

        let open = (0.78 + standing * 0.0016).clamp(0.28, 1.0);
        let facing = normal.dot(self.air.sun).max(0.0);
        let sun = self.air.sunlight * facing * self.lit(p, 22.0);
        // Snow passes light on to the side.
        let soft = self.air.sunlight * 0.06 * snow * self.lit(p, 60.0);
        let rim = (1.0 + dir.dot(normal)).max(0.0).powi(4) * 0.15;
        albedo * (sun + soft + self.air.ambient(normal) * open * (1.0 + rim))
    }

    fn lake(&self, p: Vec3, dir: Vec3, distance: f32, pixel: f32) -> Vec3 {
        let place = vec2(p.x, p.z);
        // Ripples that a pixel cannot show make the reflection taller instead.
        let calm = 0.4 + 0.9 * smoothstep(-0.2, 0.3, fbm(place / 900.0, 3, 31));
        let mut slope = Vec2::ZERO;
        let (mut size, mut weight) = (46.0, 0.30);
        for octave in 0..7 {
            let q = vec2(place.x * 0.8 + place.y * 0.3, place.y - place.x * 0.25) / size;
            let e = 0.08;
            let n = |d: Vec2| gradient(q + d, ENDLESS, 300 + octave);
            let g = vec2(n(vec2(e, 0.0)) - n(vec2(-e, 0.0)), n(vec2(0.0, e)) - n(vec2(0.0, -e)));
            slope += g / (2.0 * e) * weight;
            size *= 0.47;
            weight *= 0.92;
            if size < distance * pixel * 0.15 {
                break;
            }
        }
        let normal = vec3(slope.x, 1.0 / (self.water.ripple * calm), slope.y).normalize();
        let mut bounce = dir - 2.0 * dir.dot(normal) * normal;
        bounce.y = bounce.y.abs().max(0.002);
        let bounce = bounce.normalize();
        let fresnel = 0.02 + 0.98 * (1.0 - bounce.dot(normal).clamp(0.0, 1.0)).powi(5);
        self.water.depth * (1.0 - fresnel) + self.mirrored(p, bounce) * fresnel
    }

    fn mirrored(&self, from: Vec3, dir: Vec3) -> Vec3 {
        let above = |distance: f32| {
            let p = from + dir * distance;
            p.y - self.terrain.height(vec2(p.x, p.z), (distance * 0.004).max(6.0))
        };
        let (mut before, mut distance) = (0.0, 15.0);
        while distance < 26_000.0 && from.y + dir.y * distance < 4200.0 {
            let clear = above(distance);
            if clear < 0.0 {
                let (mut near, mut far) = (before, distance);
                for _ in 0..6 {
                    let middle = 0.5 * (near + far);
                    if above(middle) < 0.0 { far = middle } else { near = middle }
                }
                let light = self.ground(from + dir * far, dir, (far * 0.003).max(4.0));
                return self.air.through(from, dir, far, light);
            }
            before = distance;
            distance += (clear * 0.45).max(distance * 0.03);
        }
        let glare = dir.dot(self.air.sun).max(0.0);
        // Unresolved ripples spread the sun.
        self.sky(from, dir).min(Vec3::splat(20.0)) + self.air.sunlight * 2.5 * glare.powi(1500)
    }

    fn veiled(&self, mist: &Mist, surface: &Grid, ray: &Ray, end: f32, light: Vec3) -> Vec3 {
        const STEPS: usize = 56;
        let ceiling = mist.top + mist.swell * 1.2;
        // Only the part of the ray that is below the ceiling matters.
        let (mut start, mut stop) = (0.0, end.min(60_000.0));
        if ray.dir.y.abs() > 1e-5 {
            let cross = (ceiling - ray.eye.y) / ray.dir.y;
            if ray.eye.y > ceiling {
                if ray.dir.y >= 0.0 {
                    return light;
                }
                start = cross;
            } else if ray.dir.y > 0.0 {
                stop = stop.min(cross);
            }
        } else if ray.eye.y > ceiling {
            return light;
        }
        if start >= stop {
            return light;
        }
        let toward = vec2(self.air.sun.x, self.air.sun.z);
        let near = ray.dir.dot(self.air.sun).max(0.0);
        let forward = 0.30 + 0.35 * near.powi(4) + 0.8 * near.powi(24);
        let (mut sum, mut left) = (Vec3::ZERO, 1.0_f32);
        let length = stop - start;
        for i in 0..STEPS {
            // Short steps first: what is near hides what is far.
            let edge = |i: f32| (i / STEPS as f32).powf(1.7) * length;
            let distance = start + edge(i as f32 + ray.dither);
            let step = edge(i as f32 + 1.0) - edge(i as f32);
            let p = ray.at(distance);
            let place = vec2(p.x, p.z);
            let below = surface.smooth(place) + distance * distance / EARTH_DIAMETER - p.y;
            if below <= 0.0 {
                continue;
            }
            let density = mist.density * smoothstep(0.0, mist.swell * 0.9, below);
            let pass = (-density * step).exp();
            let crest = surface.linear(place + toward * 220.0) - (p.y + 220.0 * self.air.sun.y);
            let sun = (-crest.max(0.0) * 0.016).exp() * (-below * 0.006).exp() * self.lit(p, 70.0);
            let glow = self.air.sunlight * sun * forward * 0.42
                + self.air.ambient(Vec3::Y) * (0.85 + 0.15 * (-below * 0.01).exp());
            let glow = self.air.through(ray.eye, ray.dir, distance, glow);
            sum += glow * left * (1.0 - pass);
            left *= pass;
            if left < 0.01 {
                break;
            }
        }
        sum + light * left
    }
}

impl Scene for Landscape<'_> {
    fn height(&self, place: Vec2, footprint: f32) -> f32 {
        self.terrain.height(place, footprint).max(self.water.level)
    }

    fn colour(&self, ray: &Ray) -> Vec3 {
        let light = match ray.hit {
            None => self.sky(ray.eye, ray.dir),
            Some(distance) => {
                let p = ray.at(distance);
                // The earth is round: put the point back on the flat map.
                let p = vec3(p.x, p.y + distance * distance / EARTH_DIAMETER, p.z);
                let footprint = (distance * ray.pixel).max(0.6);
                let bed = self.terrain.height(vec2(p.x, p.z), footprint);
                let wet = smoothstep(0.6, -0.6, bed - self.water.level);
                let dry = |p| self.ground(p, ray.dir, footprint) * lerp(1.0, 0.55, wet);
                let light =
                    if wet >= 0.5 { self.lake(p, ray.dir, distance, ray.pixel) } else { dry(p) };
                self.air.through(ray.eye, ray.dir, distance, light)
            }
        };
        match &self.mist {
            Some((mist, surface)) => {
                self.veiled(mist, surface, ray, ray.hit.unwrap_or(f32::INFINITY), light)
            }
            None => light,
        }
    }
}
