"""The file of a run, read with the libraries that its users have."""

import json
import shutil
import subprocess
import time

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from conftest import HERE, command

GROUPS = ["ensemble", "trajectories", "final", "stationary"]
ENGINES = ["h5netcdf", "netcdf4"]


# Variables that a dynamics has: coordinates, and twelve an observable of the user's; then three or four a packed group.
A_DYNAMICS, AN_OBSERVABLE, PACKED, CLAIMS = 8, 12, 10, 13


def layout(path):
    with h5py.File(path) as file:
        return json.loads(file.attrs["layout"])


@pytest.fixture(params=ENGINES, scope="module")
def tree(request, run):
    with xr.open_datatree(run.path, engine=request.param) as tree:
        yield tree.load()


def test_groups_and_root(run, tree):
    dynamics = layout(run.path)["dynamics"]
    assert [d["group"] for d in dynamics] + ["claims", "internals"] == list(tree.children)
    assert [d["group"] for d in dynamics] == list(tree["internals"].children)
    for d in dynamics:
        assert list(tree[d["group"]].children) == GROUPS
        attributes = tree[d["group"]].attrs
        assert attributes["long_name"] == d["name"]
        assert attributes["law"] and attributes["replicas"] == attributes["requested"] == d["requested"]
        assert attributes["burn_in_time"] == tree[d["group"]]["ensemble"].time[d["burn_in"]]
    for name in ("title", "perrin_version", "study", "study_resolved", "command_line", "generator"):
        assert isinstance(tree.attrs[name], str) and tree.attrs[name], name
    assert tree.attrs["status"] == "complete"
    assert len(tree.attrs["digest"]) > 0
    assert tree.attrs["seed"] >= 0 and tree.attrs["format"] == 2
    assert tree.attrs["process"] > 0 and tree.attrs["host"] and tree.attrs["started"].endswith("Z")


def test_settings_are_attributes(tree, run):
    found = {d["name"]: tree[d["group"]].attrs for d in layout(run.path)["dynamics"]}
    for name, attributes in found.items():
        assert attributes["rate"] == 0.01 and attributes["batch"] == 2, name
        assert attributes["momentum"] == 0 and attributes["weight_decay"] == 0, name
        assert attributes["sampling"] == "with-replacement", name


def test_settings_as_in_json(document, run):
    for d in layout(run.path)["dynamics"]:
        assert document["dynamics"][d["name"]]["settings"] == d["settings"]


def test_what_makes_a_file_slow_to_open(run):
    """h5netcdf walks all variables of an unlimited dimension for each of them; every reader pays for every variable."""
    variables, unlimited = [], []

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            variables.append(name)
            if None in item.maxshape:
                unlimited.append(name)

    with h5py.File(run.path) as file:
        file.visititems(look)
    dynamics = layout(run.path)["dynamics"]
    shown = [o for d in dynamics for o in d["observables"] if not o["hidden"]]
    # The elements' coordinates stand in each of the groups.
    elements = sum(len(GROUPS) * len(o["shape"]) for o in shown)
    most = len(dynamics) * (A_DYNAMICS + PACKED) + AN_OBSERVABLE * len(shown) + elements + CLAIMS
    assert len(variables) <= most
    # Nobody knows the number of tests beforehand; there are few of these variables.
    assert [name for name in unlimited if not name.startswith("claims/")] == []


@pytest.fixture(scope="module")
def rescaling(tmp_path_factory):
    """Four dynamics, four observables of the user's, and six that claims alone look at."""
    output = tmp_path_factory.mktemp("rescaling") / "rescaling.h5"
    study = HERE.parent.parent / "models" / "rescaling.toml"
    sizes = ["--set", "run.replicas=256", "--set", "run.steps=500"]
    done = subprocess.run(command(study, output, "--quiet", *sizes), capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return output


# A quiet machine takes 1 s and 0.1 s; before, it was 17 s, and 40 s at the study's own size.
@pytest.mark.parametrize(("engine", "most"), [("h5netcdf", 4.0), ("netcdf4", 1.0)])
def test_opens_quickly(rescaling, engine, most):
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        xr.open_datatree(rescaling, engine=engine).close()
        seconds.append(time.process_time() - begin)
    print(f"{engine}: {min(seconds):.2f} s of CPU")
    assert min(seconds) < most


def test_one_group_opens_alone(rescaling):
    for engine in ENGINES:
        with xr.open_dataset(rescaling, group="sgd/ensemble", engine=engine) as ensemble:
            assert ensemble.charge_mean.dims == ("time",)


def test_every_dimension_has_a_name_and_a_coordinate(tree):
    for group in tree.subtree:
        for name, variable in group.variables.items():
            for dimension in variable.dims:
                assert "phony" not in dimension, (group.path, name)
                assert dimension in group.coords, (group.path, name, dimension)
        for dimension, size in group.sizes.items():
            values = group.coords[dimension].values
            assert len(values) == size
            if dimension != "time":
                assert np.array_equal(values, np.arange(size)), (group.path, dimension)


def test_dimensions_of_every_variable(run, tree):
    first = {"ensemble": ("time",), "trajectories": ("replica", "time")}
    for d in layout(run.path)["dynamics"]:
        for kind in GROUPS:
            group = tree[f"{d['group']}/{kind}"].to_dataset()
            if "time" in group.dims:
                assert group.step.dims == ("time",) and "step" in group.coords
                assert len(group.time) == d["instants"]
            for o in (o for o in d["observables"] if not o["hidden"]):
                inner = tuple(f"{o['variable']}_{axis}" for axis in ("row", "col"))[: len(o["shape"])]
                names = [n for n in group.data_vars if group[n].attrs["long_name"].startswith(f"{o['name']}: ")]
                assert names, (kind, o)
                for name in names:
                    assert group[name].dims == first.get(kind, ("replica",)) + inner, (kind, name)
                    assert group[name].shape[len(group[name].dims) - len(inner) :] == tuple(o["shape"])


def test_alike_in_both_engines(run):
    with (
        xr.open_datatree(run.path, engine="h5netcdf") as one,
        xr.open_datatree(run.path, engine="netcdf4") as two,
    ):
        assert [g.path for g in one.subtree] == [g.path for g in two.subtree]
        for a, b in zip(one.subtree, two.subtree, strict=True):
            xr.testing.assert_identical(a.to_dataset().load(), b.to_dataset().load())


def unpacked(group):
    """The numbers of a packed group, by observable and quantity: the last dimensions are the observable's own."""
    values = group["values"].values
    found = {}
    for part in json.loads(group.attrs["numbers"]):
        places = slice(part["first"], part["first"] + int(np.prod(part["shape"])))
        own = values[..., places].reshape(*values.shape[:-1], *part["shape"])
        found[part["observable"], part["quantity"]] = own
    return found


def test_statistics_follow_from_single_replicas(run, tree):
    for d in layout(run.path)["dynamics"]:
        final = tree[f"{d['group']}/final"].to_dataset()
        ensemble = tree[f"{d['group']}/ensemble"].to_dataset().isel(time=-1)
        internals = tree[f"internals/{d['group']}"]
        sums = unpacked(internals["statistics"])
        replicas = unpacked(internals["replicas"])
        stationary = tree[f"{d['group']}/stationary"].to_dataset()
        paths = tree[f"{d['group']}/trajectories"].to_dataset()
        alive = final.diverged_step.values < 0
        kept = len(paths.replica)
        assert kept == d["kept"] and np.array_equal(paths.time, tree[f"{d['group']}/ensemble"].time)
        for o in (o for o in d["observables"] if not o["hidden"]):
            v = o["variable"]
            x = final[v].values[alive]
            n = len(x)
            rounding = dict(rtol=1e-9, atol=1e-12)
            assert np.all(ensemble[f"{v}_count"] == n)
            np.testing.assert_allclose(ensemble[f"{v}_mean"], x.mean(axis=0), **rounding)
            np.testing.assert_allclose(ensemble[f"{v}_variance"], x.var(axis=0, ddof=1), **rounding)
            np.testing.assert_allclose(ensemble[f"{v}_standard_error"], x.std(axis=0, ddof=1) / n**0.5, **rounding)
            np.testing.assert_array_equal(ensemble[f"{v}_minimum"], x.min(axis=0))
            np.testing.assert_array_equal(ensemble[f"{v}_maximum"], x.max(axis=0))
            deviation = x - x.mean(axis=0)
            for power in (2, 3, 4):
                scale = np.sum(np.abs(deviation) ** power, axis=0)
                found = sums[o["name"], f"sum of (x - mean)^{power}"][-1]
                assert np.all(np.abs(found - np.sum(deviation**power, axis=0)) <= 1e-8 * scale + 1e-12)
            path = paths[v].values
            np.testing.assert_array_equal(path[:, -1], final[v].values[:kept])
            change = np.abs(path - path[:, :1]).max(axis=1)
            np.testing.assert_allclose(final[f"{v}_max_change"].values[:kept], change, **rounding)
            window = path[:, d["burn_in"] :]
            half = d["window"] // 2
            assert window.shape[1] == d["window"]
            of = {"mean": stationary[f"{v}_mean"].values, "variance": stationary[f"{v}_variance"].values}
            for which, part in ((None, window), ("first", window[:, :half]), ("second", window[:, -half:])):
                if which:
                    words = f"over the window's {which} half"
                    of = {
                        "mean": replicas[o["name"], f"mean {words}"],
                        "variance": replicas[o["name"], f"variance {words} (n)"],
                    }
                np.testing.assert_allclose(of["mean"][:kept], part.mean(axis=1), rtol=1e-7, atol=1e-12)
                np.testing.assert_allclose(of["variance"][:kept], part.var(axis=1), rtol=1e-7, atol=1e-12)
        for o in (o for o in d["observables"] if o["hidden"]):
            last = replicas[o["name"], "value at the last instant"][alive]
            found = sums[o["name"], "mean over replicas"][-1]
            np.testing.assert_allclose(found, last.mean(axis=0), rtol=1e-9, atol=1e-12)
            assert np.all(sums[o["name"], "replicas that were finite"][-1] == len(last))
            path = unpacked(internals["paths"])[o["name"], "path"]
            np.testing.assert_array_equal(path[:, -1], last[:kept])


def test_the_same_numbers_as_in_json(run, document, tree):
    assert tree.attrs["title"] == document["title"]
    assert int(tree.attrs["seed"]) == document["seed"]
    assert tree.attrs["digest"] == document["digest"]
    for d in layout(run.path)["dynamics"]:
        said = document["dynamics"][d["name"]]
        ensemble = tree[f"{d['group']}/ensemble"].to_dataset()
        np.testing.assert_array_equal(ensemble.time, said["time"])
        assert tree[d["group"]].attrs["diverged"] == said["diverged"]
        for o in d["observables"]:
            if o["hidden"]:
                assert o["name"] not in said["observables"]
                continue
            for statistic in ("mean", "variance", "standard_error"):
                wanted = np.array(said["observables"][o["name"]][statistic], dtype=float)
                found = ensemble[f"{o['variable']}_{statistic}"]
                np.testing.assert_array_equal(found, wanted, err_msg=f"{o['name']} {statistic}")


def test_the_same_claims_as_in_json(document, tree):
    claims = tree["claims"].to_dataset()
    rows = [
        (c["law"], c["dynamics"], c["verdict"], c["expect"], t) for c in document["claims"] for t in c["tests"]
    ]
    told = claims.isel(test=claims.quantity.values != "")
    assert len(rows) == len(told.test) > 0
    for row, (law, dynamics, verdict, expect, test) in zip(range(len(rows)), rows, strict=True):
        found = told.isel(test=row)
        assert (law, dynamics, verdict, expect) == tuple(
            str(found[n].values) for n in ("law", "dynamics", "verdict", "expect")
        )
        assert str(found.quantity.values) == test["quantity"]
        assert str(found.kind.values) == test["kind"]
        for name in ("predicted", "measured", "standard_error", "p_value"):
            wanted = np.nan if test.get(name) is None else test[name]
            np.testing.assert_array_equal(found[name].values, wanted, err_msg=name)


def test_h5py_dims(run):
    def look(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        if item.is_scale:
            return
        assert len(item.dims) == item.ndim
        for axis, dimension in enumerate(item.dims):
            assert len(dimension) == 1, f"{name}: one scale an axis"
            assert len(dimension[0]) == item.shape[axis], name
            assert dimension[0].parent == item.parent, f"{name}: groups stand alone"

    with h5py.File(run.path) as file:
        file.visititems(look)
        group = file[layout(run.path)["dynamics"][0]["group"]]
        for name, item in group["trajectories"].items():
            if not item.is_scale and name != "step":
                assert item.compression == "gzip" and item.shuffle, name


def test_netcdf4_reads_it_plainly(run):
    with netCDF4.Dataset(run.path) as file:
        for d in layout(run.path)["dynamics"]:
            group = file[d["group"]]["final"]
            assert group.dimensions["replica"].size == d["requested"]
            assert not np.ma.is_masked(group["replica"][:])


def test_h5dump(run):
    if shutil.which("h5dump") is None:
        pytest.skip("h5dump is not here (Debian: apt-get install hdf5-tools); the rest was checked without it")
    dump = subprocess.run(["h5dump", str(run.path)], capture_output=True, text=True, check=False)
    assert dump.returncode == 0 and "error" not in dump.stderr.lower(), dump.stderr
    names = subprocess.run(["h5dump", "-n", str(run.path)], capture_output=True, text=True, check=True).stdout
    found = {line.split()[-1] for line in names.splitlines() if line.split()[:1] == ["dataset"]}
    with h5py.File(run.path) as file:
        wanted = set()
        file.visititems(lambda n, i: wanted.add(f"/{n}") if isinstance(i, h5py.Dataset) else None)
    assert found == wanted
