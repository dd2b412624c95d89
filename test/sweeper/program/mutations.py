"""Takes each check out of rules.py, one at a time, and runs the tests: one of them must fail. Prints the checks that no test misses.

usage: mutations.py [PART OF A FUNCTION'S NAME]

A check is an operand of `and` or `or`, the condition of an `if`, and a comparison that is all of a condition.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = HERE.parents[2] / "lib" / "sweeper" / "program"
# The quick ones first: most checks are missed by the first of them.
TESTS = [
    ["test_cases.py", "test_rules.py", "test_ends.py"],
    ["test_faults.py", "test_histories.py", "--deselect", "test_histories.py::test_each_kind_of_event_has_happened"],
]


def checks(tree, wanted):
    """Each check, as the function that has it, its source, and how it is taken out: a node, and what becomes of it."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or wanted not in function.name:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.BoolOp):
                for at in range(len(node.values)):
                    yield function.name, ast.unparse(node.values[at]), ("values", node, at)
            elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.BoolOp):
                yield function.name, "if " + ast.unparse(node.test), ("test", node, None)


def mutated(source, number, wanted):
    tree = ast.parse(source)
    name, text, (what, node, at) = list(checks(tree, wanted))[number]
    if what == "values":
        del node.values[at]
        if len(node.values) == 1:
            node.values.append(node.values[0])
    else:
        node.test = ast.Constant(False)
    return name, text, ast.unparse(tree)


def survives(source):
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        shutil.copytree(PROGRAM, program, ignore=shutil.ignore_patterns("__pycache__"))
        (program / "rules.py").write_text(source)
        for tests in TESTS:
            command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--no-header", "--tb=no", "-o", f"pythonpath=. {program}", *tests]
            done = subprocess.run(command, cwd=HERE, capture_output=True, env={**os.environ, "HISTORIES": "200"})
            if done.returncode:
                return False
    return True


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    source = (PROGRAM / "rules.py").read_text()
    number = len(list(checks(ast.parse(source), wanted)))
    mutants = [mutated(source, each, wanted) for each in range(number)]
    with ThreadPoolExecutor(2) as pool:
        found = list(zip(mutants, pool.map(lambda mutant: survives(mutant[2]), mutants)))
    left = [f"{name}: {text}" for (name, text, _), survived in found if survived]
    print(f"{number} checks, {len(left)} that no test misses", *left, sep="\n")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
