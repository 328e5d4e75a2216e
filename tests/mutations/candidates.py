# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints candidates for mutations.yml, a random sample of what Cosmic Ray's operators make of Python files:

    pip install cosmic-ray==8.7.0
    python tests/mutations/candidates.py --seed 14 --each 5 plugins/module_utils/gpu/mig.py ...

A candidate is not yet a mutation: leave out what changes no behaviour, and name the tests that must fail.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

OPERATORS = (
    "AddNot",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ZeroIterationForLoop",
)


def mutants(code: str) -> Iterator[tuple[str, str, str]]:
    """The operator's name, a line, and the line that the operator makes of it."""
    nodes = list(ast_nodes(get_ast(code)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        for occurrence in range(sum(len(list(operator.mutation_positions(node))) for node in nodes)):
            mutant = mutate_code(code, operator, occurrence)
            differ = [
                pair for pair in zip(code.splitlines(), (mutant or "").splitlines(), strict=False) if pair[0] != pair[1]
            ]
            if len(differ) == 1:
                yield name, differ[0][0].strip(), differ[0][1].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--each", type=int, default=5, metavar="N", help="candidates of each file")
    arguments = parser.parse_args()
    for file in arguments.files:
        code = file.read_text()
        # A text must be in its file once, and annotations are never evaluated.
        found = [
            one for one in mutants(code) if code.count(one[1]) == 1 and not one[1].startswith(("def ", "class ", "@"))
        ]
        for name, before, after in random.Random(arguments.seed).sample(found, min(arguments.each, len(found))):
            print(f"{file}\n    # {name}\n    - {before}\n    + {after}")


if __name__ == "__main__":
    main()
