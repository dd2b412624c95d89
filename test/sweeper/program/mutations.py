"""Takes each check out of rules.py, one at a time, and runs the tests: one of them must fail. Prints the checks that no test misses.

usage: mutations.py [PART OF A FUNCTION'S NAME]

A check is an operand of `and` or `or`, or a condition that has neither. Each is tried in a process of its own, which has loaded the tests
before and gets the code of one function without the check.
"""

import ast
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAM = HERE.parents[2] / "lib" / "sweeper" / "program"
# The quick ones first: most checks are missed by them, and each of the others takes minutes.
CASES = ["test_judge.py", "test_confirmed.py", "test_suspects.py", "test_observe.py", "test_due.py", "test_dask_objects.py"]
QUICK = [*CASES, "test_cases.py", "test_rules.py", "test_ends.py"]
SLOW = ["test_faults.py", "test_histories.py", "--deselect", "test_histories.py::test_each_kind_of_event_has_happened"]


def functions_of(tree, wanted):
    """Each function of the module and of its classes, with its name."""
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            yield from functions_of(each, wanted)
        elif isinstance(each, ast.FunctionDef) and wanted in each.name:
            yield each


def checks(tree, wanted):
    """Each check: its function, its text, and the node that has it, with its place there."""
    for function in functions_of(tree, wanted):
        for node in ast.walk(function):
            if isinstance(node, ast.BoolOp):
                for place, value in enumerate(node.values):
                    yield function, ast.unparse(value), node, place
            elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.BoolOp):
                yield function, "if " + ast.unparse(node.test), node, None


def without(source, number, wanted):
    """The name and line of a check, its text, and the names and code of all functions without it."""
    tree = ast.parse(source)
    function, text, node, place = list(checks(tree, wanted))[number]
    name = f"{function.name}, line {node.lineno}: {text}"
    if place is None:
        node.test = ast.copy_location(ast.Constant(False), node.test)
    else:
        del node.values[place]
        node.values.append(node.values[0])
    return name, function.name, compile(tree, "rules.py", "exec")


def code_of(code, name):
    """The code of a function somewhere in that of a module."""
    for each in code.co_consts:
        if hasattr(each, "co_name"):
            found = each if each.co_name == name else code_of(each, name)
            if found:
                return found
    return None


def fails(function, code, tests):
    """Whether a test fails in a process in which a function has other code. Whoever has imported the function has it too."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        import rules

        getattr(rules, function).__code__ = code_of(code, function)
        os._exit(pytest.main(["-q", "-x", "--no-header", "--tb=no", *tests]) != 0)
    return os.waitpid(child, 0)[1] != 0


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    os.chdir(HERE)
    os.environ.setdefault("HISTORIES", "200")
    if pytest.main(["-q", "--no-header", *QUICK]):
        sys.exit("the tests fail as it is")
    source = (PROGRAM / "rules.py").read_text()
    number = len(list(checks(ast.parse(source), wanted)))
    left = []
    for each in range(number):
        name, function, code = without(source, each, wanted)
        if not fails(function, code, QUICK) and not fails(function, code, SLOW):
            left.append(name)
            print(name, flush=True)
    print(f"{number} checks, {len(left)} that no test misses")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
