//! The collection: what was photographed, where, in which light.

use glam::{Vec3, vec2, vec3};

use crate::air::{Air, direction};
use crate::camera::{Camera, Scene, take};
use crate::dunes::{self, Dunes};
use crate::film::{Development, Picture};
use crate::heavens::{self, Planet, SkyMap};
use crate::landscape::{Clouds, Cover, Landscape, Mist, Water};
use crate::terrain::Terrain;
use crate::{atoll, pines};

/// One picture of the collection.
pub struct Work {
    /// Its file, without the extension.
    pub name: &'static str,
    /// Pixels.
    pub size: (usize, usize),
    /// Least and most bytes of its file.
    pub within: (usize, usize),
    /// Highest JPEG quality that is tried.
    pub finest: u8,
    /// How it is developed.
    pub how: Development,
    /// The subject.
    pub subject: Subject,
}

/// What a picture shows.
pub enum Subject {
    /// A place in the country.
    Country(fn(&Terrain) -> (Landscape<'_>, Camera)),
    /// The sand sea.
    Sand,
    /// [`pines`].
    Pines,
    /// [`atoll`].
    Atoll,
}

impl Subject {
    /// Takes the picture, with `fine` x `fine` samples for each pixel.
    pub fn picture(&self, terrain: &Terrain, size: (usize, usize), fine: usize) -> Picture {
        let shoot = |scene: &dyn Scene, camera| take(scene, camera, size, fine);
        match self {
            Self::Country(place) => {
                let (scene, camera) = place(terrain);
                shoot(&scene, &camera)
            }
            Self::Sand => {
                let (scene, camera) = sand();
                shoot(&scene, &camera)
            }
            Self::Pines => pines::take(size, fine),
            Self::Atoll => atoll::take(size, fine),
        }
    }
}

/// All of them, in the order of a day.
pub fn all() -> Vec<Work> {
    const WIDE: (usize, usize) = (1920, 1280);
    const MEDIUM: (usize, usize) = (200_000, 900_000);
    let plain = Development::default();
    let work =
        |name, how, subject| Work { name, size: WIDE, within: MEDIUM, finest: 95, how, subject };
    vec![
        Work {
            name: "above-the-weather",
            size: (4000, 2668),
            within: (3_130_000, 3_270_000),
            finest: 98,
            how: Development { exposure: 0.84, saturation: 1.2, bloom: 0.10, ..plain },
            subject: Subject::Country(weather),
        },
        work(
            "first-light",
            Development { exposure: 1.0, saturation: 1.25, ..plain },
            Subject::Country(ridges),
        ),
        work("the-pines", Development { exposure: 0.85, saturation: 1.3, ..plain }, Subject::Pines),
        work("mirror", Development { saturation: 1.2, ..plain }, Subject::Country(mirror)),
        work("noon-atoll", Development { bloom: 0.03, saturation: 1.0, ..plain }, Subject::Atoll),
        work(
            "the-erg",
            Development { exposure: 0.85, saturation: 1.1, bloom: 0.04, ..plain },
            Subject::Sand,
        ),
        work(
            "last-ferry",
            Development { exposure: 0.9, saturation: 1.15, ..plain },
            Subject::Country(fjord),
        ),
        work("ringrise", Development { bloom: 0.08, ..plain }, Subject::Country(ringrise)),
        work("solar-wind", Development { bloom: 0.10, ..plain }, Subject::Country(aurora)),
        work("river-of-stars", Development { bloom: 0.07, ..plain }, Subject::Country(galaxy)),
    ]
}

/// Fog fills the valleys; the sun has just cleared the ridge.
pub fn weather(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera =
        Camera { eye: vec3(49_013.0, 2663.0, 30_102.0), heading: 40.0, width: 44.0, horizon: 0.36 };
    let air = Air {
        sun: direction(camera.heading - 9.0, 5.2),
        sunlight: vec3(4.6, 2.2, 0.85),
        zenith: vec3(0.030, 0.12, 0.36),
        horizon: vec3(0.32, 0.29, 0.36),
        glow: vec3(1.6, 0.66, 0.17),
        gradient: 4.4,
        haze: 5.5e-5,
        haze_height: 1500.0,
        disc: true,
    };
    let mist = Mist { top: 1250.0, swell: 210.0, density: 0.009 };
    let mut scene = Landscape::new(terrain, air).with_mist(mist);
    scene.clouds = Some(Clouds {
        height: 6500.0,
        size: 9000.0,
        cover: -0.05,
        stretch: 2.6,
        shade: vec3(0.30, 0.29, 0.36),
        lit: vec3(1.5, 0.85, 0.52),
    });
    (scene, camera)
}

/// Ridge behind ridge through a long lens, before sunrise.
pub fn ridges(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera =
        Camera { eye: vec3(39_381.0, 1769.0, 18_648.0), heading: 70.0, width: 24.0, horizon: 0.34 };
    let air = Air {
        sun: direction(camera.heading + 5.0, 0.6),
        sunlight: vec3(0.9, 0.40, 0.22),
        zenith: vec3(0.055, 0.16, 0.38),
        horizon: vec3(0.30, 0.33, 0.45),
        glow: vec3(1.25, 0.50, 0.20),
        gradient: 10.0,
        haze: 7.5e-5,
        haze_height: 1500.0,
        disc: false,
    };
    (Landscape::new(terrain, air), camera)
}

/// Snow, a lake without wind, the last light on the tops.
pub fn mirror(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera =
        Camera { eye: vec3(47_193.0, 28.0, 7290.0), heading: 90.0, width: 52.0, horizon: 0.52 };
    let air = Air {
        sun: direction(camera.heading + 140.0, 9.0),
        sunlight: vec3(3.9, 1.9, 1.15),
        zenith: vec3(0.055, 0.16, 0.42),
        horizon: vec3(0.42, 0.38, 0.48),
        glow: vec3(0.7, 0.4, 0.3),
        gradient: 4.2,
        haze: 2.6e-5,
        haze_height: 1600.0,
        disc: false,
    };
    let mut scene = Landscape::new(terrain, air);
    scene.water = Water { level: 8.0, ripple: 0.0022, depth: vec3(0.004, 0.014, 0.020) };
    scene.cover = Cover { snowline: 1250.0, treeline: 750.0, ..Cover::default() };
    scene.clouds = Some(Clouds {
        height: 5200.0,
        size: 7000.0,
        cover: -0.08,
        stretch: 2.2,
        shade: vec3(0.36, 0.33, 0.44),
        lit: vec3(1.9, 1.15, 0.95),
    });
    (scene, camera)
}

/// A fjord, and the sun at its end.
pub fn fjord(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera =
        Camera { eye: vec3(33_527.0, 258.0, 46_020.0), heading: 60.0, width: 48.0, horizon: 0.36 };
    let air = Air {
        sun: direction(camera.heading + 4.0, 3.0),
        sunlight: vec3(4.4, 1.75, 0.55),
        zenith: vec3(0.050, 0.10, 0.27),
        horizon: vec3(0.36, 0.21, 0.24),
        glow: vec3(2.2, 0.74, 0.16),
        gradient: 5.0,
        haze: 4.4e-5,
        haze_height: 900.0,
        disc: true,
    };
    let mut scene = Landscape::new(terrain, air);
    scene.water = Water { level: 8.0, ripple: 0.06, depth: vec3(0.006, 0.014, 0.022) };
    scene.clouds = Some(Clouds {
        height: 4200.0,
        size: 5200.0,
        cover: 0.02,
        stretch: 3.2,
        shade: vec3(0.20, 0.13, 0.19),
        lit: vec3(2.3, 0.80, 0.33),
    });
    (scene, camera)
}

/// A planet with rings rises over ice.
pub fn ringrise(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera =
        Camera { eye: vec3(40_386.0, 134.0, 36_814.0), heading: 0.0, width: 56.0, horizon: 0.72 };
    let air = Air {
        sun: direction(camera.heading - 76.0, 7.0),
        sunlight: vec3(1.9, 1.15, 0.95),
        zenith: vec3(0.010, 0.018, 0.055),
        horizon: vec3(0.20, 0.15, 0.26),
        glow: vec3(0.5, 0.26, 0.2),
        gradient: 6.0,
        haze: 2.6e-5,
        haze_height: 1500.0,
        disc: false,
    };
    let planet = Planet {
        at: direction(camera.heading + 5.0, 16.5),
        radius: 7.6_f32.to_radians(),
        sun: direction(camera.heading - 142.0, 20.0),
        axis: (Vec3::Y + direction(camera.heading + 90.0, 0.0) * 0.40
            - direction(camera.heading, 0.0) * 0.52)
            .normalize(),
    };
    let mut scene = Landscape::new(terrain, air);
    scene.water = Water { level: 8.0, ripple: 0.003, depth: vec3(0.004, 0.008, 0.02) };
    scene.cover = Cover { snowline: 250.0, treeline: -900.0, ..Cover::default() };
    scene.heavens = Some(Box::new(move |dir| {
        let (light, hides) = planet.seen(dir);
        light * 0.37 + heavens::stars(dir, 0.00042, 17) * 0.8 * (1.0 - hides)
    }));
    (scene, camera)
}

/// An aurora and its reflection.
pub fn aurora(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera =
        Camera { eye: vec3(46_190.0, 30.0, 47_972.0), heading: 20.0, width: 64.0, horizon: 0.66 };
    let air = Air {
        sun: direction(camera.heading + 150.0, 24.0),
        sunlight: vec3(0.055, 0.085, 0.115),
        zenith: vec3(0.004, 0.008, 0.020),
        horizon: vec3(0.014, 0.042, 0.050),
        glow: vec3(0.0, 0.0, 0.0),
        gradient: 6.0,
        haze: 2.0e-5,
        haze_height: 1500.0,
        disc: false,
    };
    let mut scene = Landscape::new(terrain, air);
    scene.water = Water { level: 8.0, ripple: 0.0035, depth: vec3(0.001, 0.003, 0.004) };
    scene.cover = Cover { snowline: 500.0, treeline: 400.0, ..Cover::default() };
    let lights = SkyMap::of(camera.heading, 40.0, (1400, 800), heavens::aurora);
    scene.heavens =
        Some(Box::new(move |dir| lights.at(dir) + heavens::stars(dir, 0.00046, 5) * 0.8));
    (scene, camera)
}

/// The galaxy above a dark ridge.
pub fn galaxy(terrain: &Terrain) -> (Landscape<'_>, Camera) {
    let camera = Camera {
        eye: vec3(46_942.0, 1142.0, 23_161.0),
        heading: 180.0,
        width: 66.0,
        horizon: 0.90,
    };
    let air = Air {
        sun: direction(camera.heading + 60.0, 3.0),
        sunlight: vec3(0.05, 0.05, 0.07),
        zenith: vec3(0.010, 0.017, 0.036),
        horizon: vec3(0.085, 0.085, 0.095),
        glow: vec3(0.10, 0.05, 0.02),
        gradient: 7.0,
        haze: 4.0e-5,
        haze_height: 1500.0,
        disc: false,
    };
    let core = direction(camera.heading + 7.0, 20.0);
    let side = (direction(camera.heading - 12.0, 62.0) - core).normalize();
    let pole = core.cross(side).normalize();
    let mut scene = Landscape::new(terrain, air);
    scene.heavens = Some(Box::new(move |dir| {
        heavens::milky_way(dir, pole, core) * 0.36
            + heavens::stars(dir, 0.00040, 5)
            + heavens::stars(dir, 0.00034, 905) * 0.5
    }));
    (scene, camera)
}

/// A sand sea in the evening.
pub fn sand() -> (Dunes, Camera) {
    let place = vec2(1351.4, 6870.3);
    let camera = Camera {
        eye: vec3(place.x, dunes::sand(place) + 100.0, place.y),
        heading: 339.5,
        width: 34.0,
        horizon: 0.22,
    };
    let air = Air {
        sun: direction(268.0, 13.0),
        sunlight: vec3(3.5, 1.9, 0.9),
        zenith: vec3(0.07, 0.27, 0.46),
        horizon: vec3(0.66, 0.58, 0.49),
        glow: vec3(0.6, 0.36, 0.2),
        gradient: 8.0,
        haze: 7e-5,
        haze_height: 400.0,
        disc: false,
    };
    (Dunes { air }, camera)
}
