//! Where each parameter lies in θ.

/// Shape of a value: `rows × columns`; a scalar is 1×1, a vector n×1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Shape {
    /// 1×1.
    pub const SCALAR: Shape = Shape { rows: 1, cols: 1 };
    /// n×1.
    pub const fn vector(rows: usize) -> Self {
        Self { rows, cols: 1 }
    }
    /// rows×cols.
    pub const fn matrix(rows: usize, cols: usize) -> Self {
        Self { rows, cols }
    }
    /// Number of elements.
    pub const fn len(self) -> usize {
        self.rows * self.cols
    }
    /// True for a shape without elements.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// True for 1×1.
    pub const fn is_scalar(self) -> bool {
        self.rows == 1 && self.cols == 1
    }
    /// Dimensions as output shows them: `[]` for a scalar, `[n]` for a vector, `[m, n]` for a matrix.
    pub fn dims(self) -> Vec<usize> {
        match (self.rows, self.cols) {
            (1, 1) => vec![],
            (n, 1) => vec![n],
            (m, n) => vec![m, n],
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.rows, self.cols) {
            (1, 1) => write!(f, "scalar"),
            (n, 1) => write!(f, "[{n}]"),
            (m, n) => write!(f, "[{m},{n}]"),
        }
    }
}

/// A named parameter; matrices are stored row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The user's name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// First element in θ.
    pub offset: usize,
}

/// All parameters, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    parameters: Vec<Parameter>,
    len: usize,
}

impl Layout {
    /// Appends a parameter and returns its offset in θ.
    pub fn push(&mut self, name: impl Into<String>, shape: Shape) -> usize {
        let offset = self.len;
        self.parameters.push(Parameter { name: name.into(), shape, offset });
        self.len += shape.len();
        offset
    }
    /// The parameters in file order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    /// P, the number of elements of θ.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True without parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }
    /// Name of element `index` of θ: `w`, `w[2]`, `W[1,0]`.
    pub fn element_name(&self, index: usize) -> String {
        for p in &self.parameters {
            if index >= p.offset && index < p.offset + p.shape.len() {
                let e = index - p.offset;
                return match p.shape.dims().len() {
                    0 => p.name.clone(),
                    1 => format!("{}[{e}]", p.name),
                    _ => format!("{}[{},{}]", p.name, e / p.shape.cols, e % p.shape.cols),
                };
            }
        }
        format!("theta[{index}]")
    }
}
