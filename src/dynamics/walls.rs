//! Walls at which an equation is reflected: dx = a dt + B dW + dl, l the least push that keeps x within its bounds (Skorokhod).
//!
//! After a step from x to y (in free motion) of length h, a lower wall at b has pushed by max(0, b − m), m the least value of the path within the step.
//! With constant noise the path is a Brownian bridge, whose least value is m = ½(x + y − √((y − x)² − 2σ²h ln u)), u uniform (Asmussen, Glynn & Pitman
//! 1995, Ann. Appl. Probab. 5, 875): exact for one wall and constant drift. With noise that depends on the state y is folded back, y → 2b − y (the
//! symmetrised Euler scheme; Bossy, Gobet & Talay 2004, J. Appl. Probab. 41, 877), of weak order 1.

use crate::dynamics::draws::Block;
use crate::lanes::math::scalar::ln;
use crate::lanes::{Lane, Purpose, Streams, flat, flat_mut, vectorized};
use crate::model::formula::SdeModel;

/// The walls of one block.
pub struct Walls {
    list: Vec<Wall>,
    tiles: usize,
    streams: Streams,
    uniform: Vec<Lane>,
}

/// Those of one element of the state.
struct Wall {
    element: usize,
    low: f64,
    high: f64,
    /// σ² per unit time where it is constant.
    spread: Option<f64>,
    /// x at the beginning of the step.
    before: Vec<Lane>,
}

impl Walls {
    /// Those of an equation; `None` if it has none.
    pub fn new(equation: &SdeModel, block: Block) -> Option<Self> {
        let tiles = block.tiles;
        let walls: Vec<Wall> = equation
            .bounds()
            .iter()
            .map(|&(element, low, high)| Wall {
                element,
                low,
                high,
                spread: equation.spread(element),
                before: vec![Lane::default(); tiles],
            })
            .collect();
        let streams = Streams::new(block.seed, Purpose::Wall, block.first, tiles);
        (!walls.is_empty()).then(|| Self {
            list: walls,
            tiles,
            streams,
            uniform: vec![Lane::default(); tiles],
        })
    }

    /// The state before a step.
    pub fn before(&mut self, state: &[Lane]) {
        for wall in &mut self.list {
            wall.before.copy_from_slice(&state[wall.element * self.tiles..][..self.tiles]);
        }
    }

    /// Reflects the state after a free step of length h.
    pub fn after(&mut self, state: &mut [Lane], h: f64) {
        let Self { list, tiles, streams, uniform } = self;
        for wall in list {
            let now = &mut state[wall.element * *tiles..][..*tiles];
            if let Some(spread) = wall.spread {
                for (level, side) in [(wall.low, 1.0), (wall.high, -1.0)] {
                    if level.is_finite() {
                        streams.fill_uniform(uniform);
                        push(now, &wall.before, uniform, level, side, 2.0 * spread * h);
                    }
                }
            }
            fold(now, wall.low, wall.high);
        }
    }
}

vectorized! {
    /// y ← y + max(0, b − m) at a lower wall, side = 1, and y − max(0, M − b) at an upper one, side = −1.
    fn push(now: &mut [Lane], before: &[Lane], uniform: &[Lane], level: f64, side: f64, twice: f64) {
        for ((y, x), u) in flat_mut(now).iter_mut().zip(flat(before)).zip(flat(uniform)) {
            let (from, to) = (side * (*x - level), side * (*y - level));
            let least = 0.5 * (from + to - ((to - from) * (to - from) - twice * ln(1.0 - *u)).sqrt());
            if least < 0.0 {
                *y -= side * least;
            }
        }
    }

    /// Back across a wall, and, where that is beyond the other one, to the wall.
    fn fold(now: &mut [Lane], low: f64, high: f64) {
        for y in flat_mut(now) {
            if *y < low {
                *y = low + (low - *y);
                if *y > high {
                    *y = high;
                }
            } else if *y > high {
                *y = high - (*y - high);
                if *y < low {
                    *y = low;
                }
            }
        }
    }
}
