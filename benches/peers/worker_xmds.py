"""XMDS2: writes C++ from XML, which is compiled here; the semi-implicit scheme with one iteration is Euler-Maruyama. The whole process
is timed, its start is a few milliseconds."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from works import serve

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="perrin-xmds-"))
PATHS = 10

TEMPLATE = """<?xml version="1.0" encoding="UTF-8"?>
<simulation xmds-version="2">
  <name>{name}</name>
  <features><auto_vectorise /><precision>double</precision></features>
  <driver name="multi-path" paths="{paths}" />
  <geometry><propagation_dimension> t </propagation_dimension>
    <transverse_dimensions><dimension name="p" lattice="{lattice}" domain="(0, {lattice})" /></transverse_dimensions>
  </geometry>
  <vector name="main" type="real" dimensions="p"><components> {components} </components>
    <initialisation><![CDATA[ {start} ]]></initialisation></vector>
  <noise_vector name="noise" dimensions="p" kind="wiener" type="real" method="dsfmt" seed="314 159 276">
    <components> {noises} </components></noise_vector>
  <sequence>
    <integrate algorithm="SI" iterations="1" interval="{time}" steps="{steps}"><samples>1</samples>
      <operators><integration_vectors>main</integration_vectors><dependencies>noise</dependencies>
        <![CDATA[ {equations} ]]></operators>
    </integrate>
  </sequence>
  <output filename="{name}" format="ascii"><sampling_group initial_sample="no" basis="p(0)">
    <moments> m q </moments><dependencies>main</dependencies>
    <![CDATA[ m = {observed}; q = {observed}*{observed}; ]]></sampling_group></output>
</simulation>
"""

SYSTEMS = {
    "W1": dict(components="x", noises="dW", start="x = 1.0;", equations="dx_dt = -x + 0.5*dW;", observed="x"),
    "W2b": dict(
        components="u w",
        noises="dx dy",
        start="u = 1.5; w = 0.2;",
        equations="double pp = u*w, c = 4*(2*pp*pp + 1), a = c*w*w, d = c*u*u, b = c*pp, s = sqrt(fmax(a*d - b*b, 0.0)),"
        " k = 0.1/sqrt(a + d + 2*s);"
        " du_dt = -2*pp*w + k*((a + s)*dx + b*dy); dw_dt = -2*pp*u + k*((d + s)*dy + b*dx);",
        observed="u",
    ),
    "W2b-rank": dict(
        components="u w",
        noises="dW",
        start="u = 1.5; w = 0.2;",
        equations="double pp = u*w, k = -2*pp + 0.2*sqrt(2*pp*pp + 1)*dW; du_dt = k*w; dw_dt = k*u;",
        observed="u",
    ),
}


def of_system(system):
    def prepare(paths, steps):
        lattice = paths // PATHS
        name = system.lower().replace("-", "_") + f"_{paths}_{steps}"
        text = TEMPLATE.format(
            name=name, paths=PATHS, lattice=lattice, time=0.01 * steps, steps=steps, **SYSTEMS[system]
        )
        (FOLDER / f"{name}.xmds").write_text(text)
        subprocess.run(["xmds2", f"{name}.xmds"], cwd=FOLDER, check=True, capture_output=True)

        def run():
            subprocess.run([f"./{name}"], cwd=FOLDER, check=True, capture_output=True)
            return moments(FOLDER / f"{name}.xsil", lattice)

        return run

    return prepare


def moments(file, lattice):
    """The means over paths of the sums over the lattice, from the file's text."""
    text = file.read_text()
    names = re.search(r'<Stream>.*?Format="Text"[^>]*>|<Metalink Format="Text"', text, re.S)
    if names is None:
        raise ValueError(f"{file} is not understood")
    columns = re.search(r'<Array Name="variables".*?<Stream>.*?>\s*(.*?)\s*</Stream>', text, re.S).group(1).split()
    block = re.search(r'<Array Name="data".*?<Metalink[^>]*?/>\s*([-+0-9.eEnaif\s]+?)\s*</Stream>', text, re.S).group(1)
    row = dict(zip(columns, map(float, block.split())))
    key = {name.lower(): value for name, value in row.items()}
    mean, square = (next(key[k] for k in key if k.startswith(("mean_" + n, n))) / lattice for n in "mq")
    return mean, square - mean * mean


try:
    serve({system: of_system(system) for system in SYSTEMS})
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
