"""Who may import whom, what starts fast, and that packaging, docs and Makefile tell the truth."""

from __future__ import annotations

import ast
import re
import resource
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from setuptools import find_packages

from promolens_cli.main import COMMANDS, EPILOG, Command, command_parser, find_command

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
ROOTS = tuple(PROJECT["tool"]["setuptools"]["packages"]["find"]["where"])

# A room's package -> what of ours it may import (docs/architecture.md). Itself always.
MAY_IMPORT = {
    "promolens_runtime": (),
    "promolens_training": ("promolens_runtime", "promolens_retrieval"),
    "promolens_export": ("promolens_runtime", "promolens_training"),
    "promolens_catalog": ("promolens_runtime.errors",),
    "promolens_crawler": ("promolens_runtime.errors", "promolens_catalog"),
    "promolens_retrieval": ("promolens_runtime", "promolens_catalog"),
    "promolens_server": ("promolens_runtime", "promolens_catalog", "promolens_retrieval"),
    "promolens_demo": ("promolens_runtime.errors", "promolens_catalog"),
    "promolens_cli": (
        "promolens_runtime",
        "promolens_training",
        "promolens_export",
        "promolens_catalog",
        "promolens_crawler",
        "promolens_retrieval",
        "promolens_server",
        "promolens_demo",
    ),
}
# They cost seconds or hundreds of megabytes: only inside the function that needs them.
HEAVY = {
    "tensorflow",
    "keras",
    "cv2",
    "sklearn",
    "scipy",
    "faiss",
    "matplotlib",
    "litert_quantizer",
    "selenium",
}
TENSORFLOW = {"tensorflow", "keras"}
HELP_WITHIN_S = 0.5


@dataclass(frozen=True)
class Import:
    """One imported module: where, its full name, and whether the import runs at import time."""

    place: str
    module: str
    at_start: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _imports_below(node: ast.AST, file: Path, at_start: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        place = f"{file.relative_to(REPOSITORY)}:{getattr(child, 'lineno', 0)}"
        if isinstance(child, ast.Import):
            yield from (Import(place, alias.name, at_start) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{place}: imports by full name only"
            for alias in child.names:
                yield Import(place, f"{child.module}.{alias.name}", at_start)
        elif not _is_type_checking(child):
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports_below(child, file, at_start and not inside)


def imports_of(package: str) -> list[Import]:
    """Return the imports of a package, those for type checkers only left out."""
    folder = next(REPOSITORY / root / package for root in ROOTS if package.endswith(f"_{root}"))
    files = sorted(folder.rglob("*.py"))
    assert files, f"no code in {folder}"
    found: list[Import] = []
    for file in files:
        found += _imports_below(ast.parse(file.read_text("utf-8")), file, at_start=True)
    return found


def test_every_source_root_has_its_rule() -> None:
    assert {f"promolens_{root}" for root in ROOTS} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_rooms_import_only_whom_they_may(package: str) -> None:
    allowed = (package, *MAY_IMPORT[package])
    wrong = [
        f"{found.place} imports {found.module}"
        for found in imports_of(package)
        if found.top.startswith("promolens_")
        and not any(f"{found.module}.".startswith(f"{name}.") for name in allowed)
    ]
    assert wrong == []


def test_the_command_line_imports_other_rooms_only_inside_functions() -> None:
    wrong = [
        f"{found.place} imports {found.module}"
        for found in imports_of("promolens_cli")
        if found.at_start
        and found.top.startswith("promolens_")
        and found.top not in ("promolens_cli", "promolens_runtime")
    ]
    assert wrong == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_heavy_packages_are_imported_only_inside_functions(package: str) -> None:
    wrong = [
        f"{found.place} imports {found.module}"
        for found in imports_of(package)
        if found.at_start and found.top in HEAVY
    ]
    assert wrong == []


def test_the_runtime_never_imports_tensorflow() -> None:
    wrong = [found for found in imports_of("promolens_runtime") if found.top in TENSORFLOW]
    assert wrong == []


def test_the_recogniser_runs_without_tensorflow_in_the_process() -> None:
    program = (
        "import sys, promolens_runtime.recognizer, promolens_runtime.verify\n"
        "print(*{'tensorflow', 'keras', 'promolens_training', 'promolens_export'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_help_is_there_at_once() -> None:
    """The processor's time, the best of five: how busy the machine is does not decide."""
    program = [sys.executable, "-m", "promolens_cli.main", "--help"]
    durations_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(program, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        durations_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(durations_s) < HELP_WITHIN_S


@pytest.mark.parametrize(
    "arguments", [["--help"], *([*c.name.split(), "--help"] for c in COMMANDS)]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom promolens_cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        f"print('HEAVY', *sorted(tops & {HEAVY | {'numpy', 'PIL', 'rich', 'ai_edge_litert'}!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == ["HEAVY"], done.stdout + done.stderr


def _example_lines(text: str) -> list[str]:
    """Return the lines that run promolens, without prompt, environment and redirection."""
    lines = re.findall(r"(?m)^\s*(?:\$ )?(?:\w+=\S+ )*(?:\.venv/bin/)?promolens (.+)$", text)
    return [re.split(r"\s[#>|&]|\s2>", line)[0].rstrip("\\ ") for line in lines]


def _parses(line: str) -> None:
    command, words = find_command(shlex.split(line))
    assert command is not None, line
    command_parser(command)[0].parse_args(words)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_shows_examples_that_parse(command: Command) -> None:
    text = command_parser(command)[0].format_help()
    own = [line for line in _example_lines(text) if line.startswith(f"{command.name} ")]
    assert own, f"the help of {command.name} has no example"
    for line in _example_lines(text):
        _parses(line)


def _pages() -> list[Path]:
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_in_the_docs(command: Command) -> None:
    pages = "\n".join(page.read_text("utf-8") for page in _pages())
    assert re.search(rf"promolens {command.name}\b", pages)


def _shell_blocks(page: Path) -> str:
    return "\n".join(
        re.findall(r"(?ms)^```(?:sh|console|bash)\n(.*?)^```", page.read_text("utf-8"))
    )


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_commands_in_the_docs_parse(page: Path) -> None:
    for line in _example_lines(_shell_blocks(page)):
        _parses(line)


def test_the_overview_shows_examples_that_parse() -> None:
    for line in _example_lines(EPILOG):
        _parses(line)


def _targets() -> dict[str, str]:
    """Return the documented targets of the Makefile with their line of help."""
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    return dict(re.findall(r"(?m)^([a-z-]+):[^#\n]*## (.+)$", makefile))


def test_make_alone_lists_every_target() -> None:
    done = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    phony = set(re.findall(r"(?m)^\.PHONY: (\S+)$", makefile))
    assert phony == set(_targets())
    for target, line in _targets().items():
        assert re.search(rf"(?m)^  {target} +{re.escape(line)}$", done.stdout)


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_make_targets_named_in_the_docs_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    code = _shell_blocks(page) + "\n" + "\n".join(re.findall(r"`([^`\n]+)`", text))
    for line in re.findall(r"(?m)^\s*make +(.+)$", code):
        words = [word for word in shlex.split(line, comments=True) if "=" not in word]
        unknown = {word for word in words if word not in _targets() and not word.startswith("-")}
        assert unknown == set(), f"make {line}"


def test_paths_with_spaces_and_patterns_survive_make() -> None:
    """What `make -n` would run, read back word by word as the shell does."""
    knobs = ["DATA=my pho'tos/x $y", "ONLY=Packages/*", "RECIPE=best", "OUT=my app"]
    done = subprocess.run(
        ["make", "-n", "train", *knobs], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    words = shlex.split(done.stdout.replace("\\\n", " "))
    start = words.index("train")
    assert words[start : start + 8] == [
        "train",
        "my pho'tos/x $y",
        "--only",
        "Packages/*",
        "--recipe",
        "best",
        "--out",
        "runs/x-$y-Packages-best",
    ]


def test_the_newest_version_of_the_changelog_is_the_packages() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog)
    assert versions[0] == PROJECT["project"]["version"]


@pytest.mark.parametrize("root", ROOTS)
def test_every_folder_with_code_is_in_the_wheel(root: str) -> None:
    folder = REPOSITORY / root
    packaged = set(find_packages(str(folder)))
    code = {".".join(file.parent.relative_to(folder).parts) for file in folder.rglob("*.py")}
    assert code == packaged
    assert (folder / f"promolens_{root}" / "py.typed").is_file()


def test_data_files_of_the_packages_are_in_the_wheel() -> None:
    """Everything beside the code has a name that package-data takes along."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    left_out = [
        str(file.relative_to(REPOSITORY))
        for root in ROOTS
        for file in (REPOSITORY / root).rglob("*")
        if file.is_file()
        and file.suffix not in (".py", ".pyc")
        and not any(file.match(pattern) for pattern in patterns)
    ]
    assert left_out == []


def _fixtures(path: Path) -> set[str]:
    functions = [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    return {
        one.name
        for one in functions
        if any("fixture" in ast.unparse(d) for d in one.decorator_list)
    }


def test_no_test_imports_a_fixture_that_all_have() -> None:
    """An imported fixture is a second one: what depends on the first may then get the second's."""
    tests = REPOSITORY / "tests"
    plugins = re.findall(r'"(\w+_support)"', (tests / "conftest.py").read_text("utf-8"))
    shared = {name: _fixtures(tests / f"{name}.py") for name in plugins}
    assert "postgresql_server" in shared["catalog_support"]
    imported = [
        f"{path.name}: {alias.name}"
        for path in sorted(tests.glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in shared.get(node.module or "", ())
    ]
    assert imported == []


def test_decisions_are_numbered_without_gaps_and_have_the_five_parts() -> None:
    records = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1))
    for record in records:
        parts = re.findall(r"(?m)^## (.+)$", record.read_text("utf-8"))
        assert parts[:4] == ["Context", "Options", "Decision", "Consequences"], record.name
        assert re.search(r"(?m)^Status: (proposed|accepted|superseded)", record.read_text("utf-8"))


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
