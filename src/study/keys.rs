//! The keys of every section: what each takes, its default and an example, in one table. Messages are made from it.

/// A key of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written in the study.
    pub name: &'static str,
    /// What it takes, after "expected".
    pub takes: &'static str,
    /// Its default, in words; empty where it must be given or is optional.
    pub default: &'static str,
    /// A line that shows it.
    pub example: &'static str,
}

/// A section, or the settings of a law or a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What messages call it.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Section {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }
}

const fn key(name: &'static str, takes: &'static str, default: &'static str, example: &'static str) -> Key {
    Key { name, takes, default, example }
}

/// Top level.
pub const STUDY: Section = Section {
    name: "the study",
    keys: &[
        key("title", "a string", "the file's name", "title = \"Rescaling symmetry\""),
        key("constants", "a table", "", "[constants]"),
        key("parameters", "a table", "", "[parameters]"),
        key("starts", "a table of tables", "one, that of [parameters]", "[starts]"),
        key("data", "a table", "", "[data]"),
        key("population", "a table", "infinite, fresh draws", "[population]"),
        key("loss", "a table", "", "[loss]"),
        key("sde", "a table", "", "[sde]"),
        key("training", "a table", "", "[training]"),
        key("dynamics", "a table", "", "[dynamics]"),
        key("run", "a table", "", "[run]"),
        key("observe", "a table", "", "[observe]"),
        key("symmetries", "a table", "", "[symmetries]"),
        key("claims", "an array of tables", "", "[[claims]]"),
        key("quick", "a table of overrides, or false", "the study as it is", "[quick]"),
    ],
};

/// `{ shape, init }` of a parameter.
pub const PARAMETER: Section = Section {
    name: "a parameter",
    keys: &[
        key(
            "shape",
            "an array of one or two whole numbers",
            "that of `init`",
            "W = { shape = [3, 4], init = \"kaiming\" }",
        ),
        key(
            "init",
            "a number, a law, an array or columns of a table",
            "",
            "w = { init = \"normal(0, 0.3)\" }",
        ),
    ],
};

/// `init = { table, column }`: starts that are rows of a table.
pub const INITIAL_ROWS: Section = Section {
    name: "a start from a table",
    keys: &[
        key("table", "a string", "", "w = { init = { table = \"starts.csv\", column = \"w\" } }"),
        key("dataset", "a string", "the file's root group", "dataset = \"starts\""),
        key("separator", "a string of one character", "\",\"", "separator = \";\""),
        key("header", "true or false", "true", "header = false"),
        key("column", "a string", "", "column = \"w\""),
        key("columns", "a string with * and ?, or an array of strings", "", "columns = \"w*\""),
    ],
};

/// `{ shape, law }` or table columns, of a data name.
pub const DATA: Section = Section {
    name: "a data entry",
    keys: &[
        key(
            "shape",
            "an array of one or two whole numbers",
            "scalar",
            "x = { shape = [64], law = \"normal(0, 1)\" }",
        ),
        key("law", "a string", "", "x = { shape = [64], law = \"normal(0, 1)\" }"),
        key(
            "fresh",
            "true or false",
            "false beside a table",
            "noise = { law = \"normal(0, 0.5)\", fresh = true }",
        ),
        key("column", "a string", "", "y = { column = \"label\" }"),
        key("columns", "a string with * and ?, or an array of strings", "", "x = { columns = \"pixel*\" }"),
    ],
};

/// `[population]`.
pub const POPULATION: Section = Section {
    name: "[population]",
    keys: &[
        key("size", "a whole number", "infinite", "size = 1024"),
        key("table", "a string", "none", "table = \"digits.csv\""),
        key("dataset", "a string", "the file's root group", "dataset = \"train\""),
        key("separator", "a string of one character", "\",\"", "separator = \";\""),
        key("header", "true or false", "true", "header = false"),
    ],
};

/// `[loss]`.
pub const LOSS: Section =
    Section { name: "[loss]", keys: &[key("formula", "a string", "", "formula = \"(u*w*x - y)^2\"")] };

/// `[sde]`.
pub const SDE: Section = Section {
    name: "[sde]",
    keys: &[
        key("drift", "a table of formulas", "0", "drift = { x = \"-mu*x\" }"),
        key("diffusion", "a table of formulas", "0", "diffusion = { x = \"sqrt(D)\" }"),
        key("interpretation", "a string", "ito", "interpretation = \"stratonovich\""),
        key("reflect", "a table of bounds", "none", "reflect = { x = [0, \"none\"] }"),
    ],
};

/// `[training]`.
pub const TRAINING: Section = Section { name: "[training]", keys: &TRAINING_KEYS };

const TRAINING_KEYS: [Key; 7] = [
    key("rate", "a number or a schedule [[step, rate], …]", "", "rate = 0.01"),
    key("batch", "a whole number", "1", "batch = 1"),
    key("weight_decay", "a number or a schedule [[step, decay], …]", "0", "weight_decay = 1e-4"),
    key("penalty", "a number or a schedule [[step, penalty], …]", "0", "penalty = 1e-4"),
    key(
        "momentum",
        "a number, a schedule [[step, momentum], …], or { beta = …, convention = … }",
        "0",
        "momentum = 0.9",
    ),
    key("sampling", "a string", "with-replacement", "sampling = \"without-replacement\""),
    key("drop_last", "a boolean", "false", "drop_last = true"),
];

/// `momentum = { … }`.
pub const MOMENTUM: Section = Section {
    name: "momentum",
    keys: &[
        key("beta", "a number or a schedule [[step, momentum], …]", "", "momentum = { beta = 0.9 }"),
        key("convention", "a string", "sutskever", "momentum = { beta = 0.9, convention = \"pytorch\" }"),
        key(
            "dampening",
            "a number",
            "0",
            "momentum = { beta = 0.9, convention = \"pytorch\", dampening = 0.1 }",
        ),
        key(
            "nesterov",
            "a boolean",
            "false",
            "momentum = { beta = 0.9, convention = \"pytorch\", nesterov = true }",
        ),
    ],
};

const fn settings<const N: usize, const M: usize>(own: [Key; N]) -> [Key; M] {
    let mut keys = [key("", "", "", ""); M];
    let mut i = 0;
    while i < 7 {
        keys[i] = TRAINING_KEYS[i];
        i += 1;
    }
    while i < 7 + N {
        keys[i] = own[i - 7];
        i += 1;
    }
    keys
}

const LANGEVIN_KEYS: [Key; 11] = settings([
    key("order", "1 or 2", "1", "sde = { langevin = { order = 2 } }"),
    key("scheme", "a string", "euler-maruyama", "sde = { langevin = { scheme = \"euler-maruyama\" } }"),
    key("substeps", "a whole number", "1", "sde = { langevin = { substeps = 4 } }"),
    key("increments", "a string", "normal", "sde = { langevin = { increments = \"rademacher\" } }"),
]);

const SVAG_KEYS: [Key; 8] = settings([key("level", "a whole number", "", "svag = { svag = { level = 4 } }")]);

const UNDERDAMPED_KEYS: [Key; 9] = settings([
    key("friction", "a number", "1 - momentum", "inertia = { underdamped = { friction = 1.0 } }"),
    key("substeps", "a whole number", "1", "inertia = { underdamped = { substeps = 4 } }"),
]);

const SCHEME_KEYS: [Key; 2] = [
    key("dt", "a number", "", "em = { euler-maruyama = { dt = 0.01 } }"),
    key(
        "increments",
        "a string",
        "normal",
        "em = { euler-maruyama = { dt = 0.01, increments = \"rademacher\" } }",
    ),
];

const fn scheme(name: &'static str) -> (&'static str, Section) {
    (name, Section { name, keys: &SCHEME_KEYS })
}

const FLOW_KEYS: [Key; 8] =
    settings([key("tolerance", "a number", "1e-12", "flow = { gradient-flow = { tolerance = 1e-10 } }")]);

/// The laws of motion and their settings. Laws of a loss also take the settings of `[training]`.
pub const LAWS: [(&str, Section); 14] = [
    ("gradient-flow", Section { name: "gradient-flow", keys: &FLOW_KEYS }),
    ("gradient-descent", Section { name: "gradient-descent", keys: &TRAINING_KEYS }),
    ("sgd", Section { name: "sgd", keys: &TRAINING_KEYS }),
    ("gaussian-sgd", Section { name: "gaussian-sgd", keys: &TRAINING_KEYS }),
    ("langevin", Section { name: "langevin", keys: &LANGEVIN_KEYS }),
    ("ornstein-uhlenbeck", Section { name: "ornstein-uhlenbeck", keys: &TRAINING_KEYS }),
    ("svag", Section { name: "svag", keys: &SVAG_KEYS }),
    ("underdamped", Section { name: "underdamped", keys: &UNDERDAMPED_KEYS }),
    scheme("euler-maruyama"),
    scheme("milstein"),
    scheme("heun"),
    scheme("stochastic-runge-kutta"),
    scheme("weak-2"),
    ("exact", Section { name: "exact", keys: &[] }),
];

/// `[run]`.
pub const RUN: Section = Section {
    name: "[run]",
    keys: &[
        key("steps", "a whole number", "", "steps = 20_000"),
        key("time", "a number", "", "time = 200.0"),
        key("from", "a number", "0", "from = 0.5"),
        key("replicas", "a whole number", "1024", "replicas = 4096"),
        key("seed", "a whole number", "0", "seed = 7"),
        key(
            "record",
            "a whole number, a list of times, { every = time } or { log = number }",
            "100, or the number of steps where that is less",
            "record = 200",
        ),
        key("burn_in", "a number", "0.5", "burn_in = 0.5"),
        key("trajectories", "a whole number", "0", "trajectories = 16"),
        key("significance", "a number", "1e-3", "significance = 1e-3"),
        key("resolution", "a number", "0.2", "resolution = 0.2"),
        key("record_parameters", "a boolean", "true up to 1000 numbers", "record_parameters = false"),
        key("precision", "a table", "none", "precision = { observable = \"charge\", standard_error = 1e-3 }"),
    ],
};

/// `record = { … }`.
pub const RECORD: Section = Section {
    name: "record",
    keys: &[
        key("every", "a number", "", "record = { every = 10.0 }"),
        key("log", "a whole number", "", "record = { log = 100 }"),
        key("at", "a list of times", "", "record = { at = [0.1, 0.5, 2.0] }"),
    ],
};

/// `precision = { … }`.
pub const PRECISION: Section = Section {
    name: "precision",
    keys: &[
        key("observable", "a string", "", "observable = \"charge\""),
        key("standard_error", "a number", "", "standard_error = 1e-3"),
        key(
            "at",
            "\"stationary\" or \"end\"",
            "stationary where [run] says burn_in, else end",
            "at = \"end\"",
        ),
        key("most", "a whole number", "1000000 replicas", "most = 100_000"),
    ],
};

/// `{ … }` of an observable.
pub const OBSERVE: Section = Section {
    name: "an observable",
    keys: &[
        key("singular_values", "a string", "", "spectrum = { singular_values = \"W\" }"),
        key("integral", "a string", "", "work = { integral = \"gradient_norm2\" }"),
        key("first_passage", "a string", "", "T = { first_passage = \"x\", above = 1.0 }"),
        key("passed", "a string", "", "hit = { passed = \"x\", above = 1.0 }"),
        key("above", "a number", "none", "T = { first_passage = \"x\", above = 1.0 }"),
        key("below", "a number", "none", "T = { first_passage = \"x\", below = -1.0 }"),
    ],
};

/// Kinds of symmetries.
pub const SYMMETRY: Section = Section {
    name: "a symmetry",
    keys: &[
        key("exponential", "a table", "", "a = { exponential = { u = 1, w = -1 } }"),
        key("rotation", "a table", "", "c = { rotation = { left = \"W\", right = \"U\" } }"),
        key("double_rotation", "a table", "", "d = { double_rotation = { left = \"W\", right = \"U\" } }"),
        key("scale", "an array of names", "", "e = { scale = [\"w\"] }"),
        key("permutation", "a table", "", "f = { permutation = { swap = [[\"u1\", \"u2\"]] } }"),
        key("mirror", "a table", "", "g = { mirror = { negate = [\"u\", \"w\"] } }"),
    ],
};

/// `rotation = { … }`.
pub const ROTATION: Section = Section {
    name: "rotation",
    keys: &[
        key("left", "a name or an array of names", "none", "rotation = { left = \"W\", right = \"U\" }"),
        key("right", "a name or an array of names", "none", "rotation = { left = \"W\", right = \"U\" }"),
    ],
};

/// `double_rotation = { … }`.
pub const DOUBLE_ROTATION: Section = Section {
    name: "double_rotation",
    keys: &[
        key("left", "a name", "", "double_rotation = { left = \"W\", right = \"U\" }"),
        key("right", "a name", "", "double_rotation = { left = \"W\", right = \"U\" }"),
    ],
};

/// `permutation = { … }`.
pub const PERMUTATION: Section = Section {
    name: "permutation",
    keys: &[
        key("swap", "an array of pairs of names", "", "permutation = { swap = [[\"u1\", \"u2\"]] }"),
        key("rows", "a name or an array of names", "none", "permutation = { rows = \"W\", columns = \"U\" }"),
        key(
            "columns",
            "a name or an array of names",
            "none",
            "permutation = { rows = \"W\", columns = \"U\" }",
        ),
    ],
};

/// `mirror = { … }`.
pub const MIRROR: Section = Section {
    name: "mirror",
    keys: &[
        key("negate", "an array of names", "", "mirror = { negate = [\"u\", \"w\"] }"),
        key("projector", "a matrix", "", "mirror = { projector = [[1, 0], [0, 0]] }"),
    ],
};

const DYNAMICS: Key =
    key("dynamics", "a name or an array of names", "all that it makes sense for", "dynamics = \"sgd\"");

/// A claim: one of the laws, and what is expected of it.
pub const CLAIM: Section = Section {
    name: "a claim",
    keys: &[
        key("equals", "a table", "", "equals = { observable = \"w^2\", value = 1.0 }"),
        key("conserved", "a table", "", "conserved = { observable = \"charge\" }"),
        key("noether-flow", "a table", "", "noether-flow = { symmetry = \"rescaling\", dynamics = \"sgd\" }"),
        key("fixed-point", "a table", "", "fixed-point = { symmetry = \"rescaling\", tolerance = 0.05 }"),
        key("einstein", "a table", "", "einstein = { dynamics = \"sgd\" }"),
        key("fdt", "a table", "", "fdt = { dynamics = \"sgd\", relation = 1 }"),
        key(
            "stationary-density",
            "a table",
            "",
            "stationary-density = { observable = \"w\", dynamics = \"sde\" }",
        ),
        key(
            "equilibrium",
            "a table",
            "",
            "equilibrium = { between = [\"sgd\", \"sde\"], observable = \"w\" }",
        ),
        key("decay-rate", "a table", "", "decay-rate = { observable = \"charge\", value = \"4*rate\" }"),
        key(
            "convergence",
            "a table",
            "",
            "convergence = { observable = \"x\", of = \"em\", to = \"exact\", over = \"dt\", values = [0.1, 0.05, 0.025], order = 1 }",
        ),
        key("diverges", "a table", "", "diverges = { dynamics = \"sgd\" }"),
        key("expect", "\"holds\" or \"fails\"", "holds", "expect = \"fails\""),
        key("significance", "a number", "that of [run]", "significance = 1e-3"),
    ],
};

/// `equals = { … }`.
pub const EQUALS: Section = Section {
    name: "equals",
    keys: &[
        key("observable", "a string", "", "observable = \"w^2\""),
        key("statistic", "a string", "mean", "statistic = \"variance\""),
        key("at", "\"stationary\", \"end\", \"start\" or a time", "stationary", "at = \"end\""),
        key("value", "a number, a formula or an array of them", "", "value = \"rate/2\""),
        key("tolerance", "a number", "exact", "tolerance = 0.05"),
        key("absolute_tolerance", "a number", "exact", "absolute_tolerance = 0.02"),
        DYNAMICS,
    ],
};

/// `diverges = { … }`.
pub const DIVERGES: Section = Section { name: "diverges", keys: &[DYNAMICS] };

/// `conserved = { … }`.
pub const CONSERVED: Section = Section {
    name: "conserved",
    keys: &[
        key("observable", "a string", "", "observable = \"u^2 - w^2\""),
        key("symmetry", "a string", "", "symmetry = \"rescaling\""),
        key("tolerance", "a number", "1e-8", "tolerance = 1e-8"),
        DYNAMICS,
    ],
};

/// `fixed-point = { … }`.
pub const FIXED_POINT: Section = Section {
    name: "fixed-point",
    keys: &[
        key("symmetry", "a string", "", "symmetry = \"rescaling\""),
        key("value", "a number or a formula", "0, reached from any start", "value = \"0.5*log(w/u)\""),
        key("at", "\"start\" or \"end\"", "\"start\", of a value", "at = \"end\""),
        key("tolerance", "a number", "0.05", "tolerance = 0.05"),
        DYNAMICS,
    ],
};

/// `noether-flow = { … }`.
pub const NOETHER_FLOW: Section = Section {
    name: "noether-flow",
    keys: &[
        key("symmetry", "a string", "", "symmetry = \"rescaling\""),
        key("noise", "a number", "1, the law itself", "noise = 0.5"),
        key("decay", "a number", "1, the law itself", "decay = 0.5"),
        key(
            "tolerance",
            "a number",
            "rounding of so many steps; 0.1 of what moved by schemes",
            "tolerance = 1e-9",
        ),
        DYNAMICS,
    ],
};

/// `convergence = { … }`.
pub const CONVERGENCE: Section = Section {
    name: "convergence",
    keys: &[
        key("observable", "a string", "", "observable = \"w^2\""),
        key("at", "\"end\" or a time", "end", "at = 1.0"),
        key("of", "the name of a dynamics", "", "of = \"sde\""),
        key("to", "the name of a dynamics or \"exact\"", "", "to = \"exact\""),
        key("over", "\"rate\", \"dt\", \"substeps\" or \"level\"", "", "over = \"rate\""),
        key("values", "an array of three or more numbers", "", "values = [0.2, 0.1, 0.05]"),
        key("order", "a number", "", "order = 1"),
        key("kind", "\"weak\" or \"strong\"", "weak", "kind = \"strong\""),
        key("tolerance", "a number", "0.15", "tolerance = 0.15"),
    ],
};

/// `einstein = { … }`.
pub const EINSTEIN: Section = Section {
    name: "einstein",
    keys: &[
        key("tolerance", "a number", "none", "tolerance = 0.05"),
        key("equation", "a string", "own", "equation = \"continuous\""),
        DYNAMICS,
    ],
};

/// `decay-rate = { … }`.
pub const DECAY_RATE: Section = Section {
    name: "decay-rate",
    keys: &[
        key("observable", "a string", "", "observable = \"abs(charge)\""),
        key("value", "a number, a formula or an array of them", "", "value = \"4*rate/batch\""),
        key("from", "a number", "0", "from = 0.1"),
        key("to", "a number", "1", "to = 0.9"),
        key("tolerance", "a number", "exact", "tolerance = 0.03"),
        key("absolute_tolerance", "a number", "exact", "absolute_tolerance = 0.001"),
        DYNAMICS,
    ],
};

/// `stationary-density = { … }`.
pub const STATIONARY_DENSITY: Section = Section {
    name: "stationary-density",
    keys: &[
        key("observable", "a string", "", "observable = \"w\""),
        key(
            "interpretation",
            "\"own\", \"ito\", \"stratonovich\" or \"gibbs\"",
            "own",
            "interpretation = \"stratonovich\"",
        ),
        key("tail", "\"own\" or \"density\"", "none: the distribution", "tail = \"own\""),
        key(
            "tolerance",
            "a number",
            "exact for exact laws, else a distance of 0.05; a tail index 0.1 of itself",
            "tolerance = 0.05",
        ),
        DYNAMICS,
    ],
};

/// `equilibrium = { … }`.
pub const EQUILIBRIUM: Section = Section {
    name: "equilibrium",
    keys: &[
        key("between", "an array of two names", "", "between = [\"sgd\", \"sde\"]"),
        key("observable", "a string", "", "observable = \"w\""),
        key("variance_ratio", "a number or a formula", "none", "variance_ratio = \"1/(1 - rate*a/2)\""),
        key("same", "a boolean", "false", "same = true"),
        key("tolerance", "a number", "exact", "tolerance = 0.05"),
    ],
};

/// `fdt = { … }`.
pub const FDT: Section = Section {
    name: "fdt",
    keys: &[
        key("relation", "1 or 2", "1", "relation = 1"),
        key("moment", "\"own\", \"second\" or \"covariance\"", "own", "moment = \"covariance\""),
        key("tolerance", "a number", "exact where the relation is, else 0.1", "tolerance = 0.05"),
        DYNAMICS,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_name_and_an_example() {
        let sections = [
            STUDY,
            PARAMETER,
            INITIAL_ROWS,
            DATA,
            POPULATION,
            LOSS,
            SDE,
            TRAINING,
            MOMENTUM,
            RUN,
            RECORD,
            PRECISION,
            OBSERVE,
            SYMMETRY,
            ROTATION,
            DOUBLE_ROTATION,
            PERMUTATION,
            MIRROR,
            CLAIM,
            EQUALS,
            CONSERVED,
            DIVERGES,
            NOETHER_FLOW,
            FIXED_POINT,
            CONVERGENCE,
            EINSTEIN,
            DECAY_RATE,
            FDT,
            EQUILIBRIUM,
            STATIONARY_DENSITY,
        ];
        for section in sections.iter().chain(LAWS.iter().map(|(_, s)| s)) {
            for key in section.keys {
                assert!(!key.name.is_empty() && !key.takes.is_empty(), "{}", section.name);
                assert!(key.example.contains(key.name), "{}: {}", section.name, key.example);
            }
        }
    }
}
