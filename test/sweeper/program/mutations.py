"""Takes each check out of the program, one at a time, and runs the tests: one of them must fail. Prints the checks that no test misses.

usage: mutations.py [MODULE [PART OF A FUNCTION'S NAME]]

A check is an operand of `and` or `or`, or a condition that has neither: of an `if`, or of what a comprehension takes in. Each is tried in a
process of its own, which has loaded the tests before and gets the code of one function without the check.
"""

import ast
import os
import sys
from functools import reduce
from pathlib import Path

import pytest

# The modules that decide which runs are ended and which objects are deleted.
MODULES = ["rules", "ends", "watch", "acting", "sights"]

HERE = Path(__file__).parent
PROGRAM = HERE.parents[2] / "lib" / "sweeper" / "program"
# The quick ones first: most checks are missed by them, and each of the others takes minutes.
CASES = [
    "test_judge.py",
    "test_confirmed.py",
    "test_suspects.py",
    "test_observe.py",
    "test_due.py",
    "test_dask_objects.py",
    "test_sights.py",
]
QUICK = [*CASES, "test_ends.py", "test_rules.py", "test_cases.py", "test_late_signs.py"]
WORLDS = ["test_faults.py", "test_bounds.py", "test_lost_ledger.py", "test_odd_answers.py"]
SLOW = [*WORLDS, "test_histories.py", "--deselect", "test_histories.py::test_each_kind_of_event_has_happened"]


def functions_of(tree, wanted, path=()):
    """Each function of the module and of its classes, with the names on the way to it."""
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            yield from functions_of(each, wanted, (*path, each.name))
        elif isinstance(each, ast.FunctionDef) and wanted in each.name:
            yield each, (*path, each.name)


def checks(tree, wanted):
    """Each check: the names on the way to its function, its text and line, and what takes it out of the tree."""
    for function, path in functions_of(tree, wanted):
        for node in ast.walk(function):
            if isinstance(node, ast.BoolOp):
                for place, value in enumerate(node.values):
                    yield path, ast.unparse(value), value.lineno, lambda node=node, place=place: leave_out(node, place)
            elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.BoolOp):
                yield path, "if " + ast.unparse(node.test), node.lineno, lambda node=node: never(node)
            elif isinstance(node, ast.comprehension):
                for test in node.ifs:
                    if not isinstance(test, ast.BoolOp):
                        yield path, "for … if " + ast.unparse(test), test.lineno, lambda node=node, test=test: node.ifs.remove(test)


def leave_out(node, place):
    del node.values[place]
    # There must be two.
    node.values.append(node.values[0])


def never(node):
    node.test = ast.copy_location(ast.Constant(False), node.test)


def without(module, number, wanted):
    """The names on the way to the function that has a check, what the check is, and the function's code without it."""
    tree = ast.parse((PROGRAM / f"{module}.py").read_text())
    path, text, line, take_out = list(checks(tree, wanted))[number]
    take_out()
    return path, f"{module}.py, line {line}, {'.'.join(path)}: {text}", reduce(code_of, path, compile(tree, f"{module}.py", "exec"))


def code_of(code, name):
    """The code of a function or class within that of a module or class."""
    return next(each for each in code.co_consts if getattr(each, "co_name", None) == name)


def fails(module, path, code, tests):
    """Whether a test fails in a process in which a function has other code. Whoever has imported the function has it too."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        reduce(getattr, path, sys.modules[module]).__code__ = code
        os._exit(pytest.main(["-q", "-x", "--no-header", "--tb=no", *tests]) != 0)
    return os.waitpid(child, 0)[1] != 0


def main():
    modules, wanted = sys.argv[1:2] or MODULES, "".join(sys.argv[2:3])
    os.chdir(HERE)
    os.environ.setdefault("HISTORIES", "200")
    if pytest.main(["-q", "--no-header", *QUICK]):
        sys.exit("the tests fail as it is")
    total, left = 0, 0
    for module in modules:
        number = len(list(checks(ast.parse((PROGRAM / f"{module}.py").read_text()), wanted)))
        total += number
        for each in range(number):
            path, check, code = without(module, each, wanted)
            if not fails(module, path, code, QUICK) and not fails(module, path, code, SLOW):
                left += 1
                print(check, flush=True)
    print(f"{total} checks, {left} that no test misses")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
