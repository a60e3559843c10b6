"""The command line.

Nothing heavy is imported up here, so that ``netsim --help`` answers at once. Exit codes: 0 done, 1 a run failed or
stalled, 2 bad input, 130 and 143 ended by Ctrl-C and SIGTERM; every error is one sentence on stderr.
"""

from __future__ import annotations

import errno
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from netsim import __version__, console
from netsim.errors import ConfigError, DataError, NetsimError, UnfinishedError

DONE, FAILED, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

app = typer.Typer(
    name="netsim",
    help="Network-aware simulation of communication-efficient distributed learning.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# typer exports BadParameter alone; its base is every wrong use of the command line.
_WrongUse: Any = typer.BadParameter.__mro__[1]


def _whole(least: int = 0) -> Callable[[object], int]:
    """Return the parser of an option's whole number; `int` would take `1_0` and the digits of other scripts."""

    def whole_number(text: object) -> int:
        digits = str(text)
        if digits.isascii() and digits.isdigit() and len(digits) <= 100 and int(digits) >= least:
            return int(digits)
        raise typer.BadParameter(f"a whole number >= {least}. Got {digits!r}")

    return whole_number


def _bits(text: object) -> float:
    """Parse an option that is a number of bits; `float` would take `1_0`, NaN and infinities."""
    from netsim.units import BOUNDS, QuantityError, to_number

    try:
        if 0.0 <= (number := to_number(str(text), "bit")) <= BOUNDS["bit"][1]:
            return number
    except QuantityError:
        pass
    raise typer.BadParameter(f"a number of bits >= 0. Got {str(text)!r}")


Source = Annotated[str, typer.Argument(metavar="SCENARIO", help="A YAML file, or the name of a bundled scenario.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", metavar="KEY=VALUE", help="Change a key, such as algorithms[0].budget=10."),
]
Plugins = Annotated[
    list[str] | None, typer.Option("--plugin", metavar="FILE", help="A Python file with components of your own.")
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="What a run may take, such as 8 GB [what the machine has]."),
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", metavar="N", parser=_whole(), help="Processes; 0 is one per core.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, the words after ``netsim`` (None: those of the process), and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    with console.kept(), _ended_by_sigterm():
        return _main(words)


class _Terminated(KeyboardInterrupt):
    pass


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, with a sentence and what is finished kept."""

    def end(*_: object) -> None:
        raise _Terminated("terminated")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _main(words: Sequence[str]) -> int:
    debug = "--debug" in words
    try:
        # Do not use its main(), which handles interrupts and closed pipes itself.
        command = typer.main.get_command(app)
        with command.make_context("netsim", list(words)) as context:
            code = command.invoke(context)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except typer.Exit as stop:
        return stop.exit_code
    except _WrongUse as error:
        text = error.format_message()
        return _fail(f"{text}{'' if text.endswith(('.', '?')) else '.'} See netsim --help", BAD_INPUT)
    except SystemExit as stop:
        return _fail(f"sys.exit({stop.code!r}) was called by code of a plugin", FAILED)
    except KeyboardInterrupt as error:
        is_terminated = isinstance(error, _Terminated) or isinstance(error.__context__, _Terminated)
        return _fail(str(error) or "interrupted", TERMINATED if is_terminated else INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, UnfinishedError):
            return _fail(str(error), FAILED)
        if isinstance(error, ConfigError | DataError):
            return _fail(str(error), BAD_INPUT)
        if isinstance(error, OSError):
            what = f"{error.filename}: " if error.filename else ""
            is_late = error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)
            return _fail(f"{what}{error.strerror or error}", FAILED if is_late else BAD_INPUT)
        if isinstance(error, NetsimError):
            return _fail(f"{error} (--debug shows where)", FAILED)
        from netsim.registry import place

        return _fail(f"{type(error).__name__}: {error} ({place(error)}; --debug shows more)", FAILED)


@app.callback(invoke_without_command=True, no_args_is_help=False)
def _top(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    debug: Debug = False,
) -> None:
    if version:
        from netsim.tools.revision import commit

        found = commit()
        typer.echo(f"netsim {__version__}" + (f" ({found})" if found else ""))
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
    if version:
        raise typer.Exit


@app.command()
def run(
    ctx: typer.Context,
    scenario: Source,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="Folder of the results [results/NAME].")
    ] = None,
    sets: Sets = None,
    jobs: Jobs = 0,
    plugins: Plugins = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finished runs are kept with or without it.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do finished runs again, too.")] = False,
    dask: Annotated[str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler.")] = None,
    find_step: Annotated[
        bool, typer.Option("--find-step", help="Search step sizes first, with a seed that the study does not use.")
    ] = False,
    memory: Memory = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, estimate, run nothing.")] = False,
    debug: Debug = False,
) -> int:
    """Run a scenario: write DIR, print the summary."""
    _limit_memory(memory)
    study_scenario = _load(scenario, sets, plugins)
    from netsim import study

    if dry_run:
        typer.echo(f"{scenario}: {_forecast(study_scenario)}")
        return DONE

    folder = str(Path("results") / study_scenario.name) if out is None else out
    if out is None:
        study.check_name(Path(folder), study_scenario)
    study.check_folder(folder)
    words = ["netsim", *sys.argv[1:]]
    found = None
    if find_step:
        study_scenario, found = study.find_steps(study_scenario, lambda text: typer.echo(text, err=True))
    results = study.run(study_scenario, folder, jobs, fresh, plugins or (), dask, words, show=True)
    if found is not None:
        study.write_steps(folder, found)
    typer.echo(results.summary_text().rstrip("\n"))
    typer.echo(f"\n{folder}/report.html")
    if debug or ctx.find_root().params["debug"]:
        for one in results.runs:
            if one["traceback"]:
                title = "  ".join(filter(None, (one["point"], one["label"], f"rep {one['replication']}")))
                typer.echo(f"\n{title}\n{one['traceback'].rstrip()}", err=True)
    return DONE if results.ok else FAILED


@app.command()
def prune(folder: Annotated[str, typer.Argument(metavar="DIR")], debug: Debug = False) -> None:
    """Delete the finished runs in DIR that its last study does not have."""
    from netsim import study, text

    count, size_bytes = study.prune(folder)
    typer.echo(f"{folder}: {text.count(count, 'run')} deleted, {size_bytes / 1e6:.3g} MB")


@app.command()
def validate(
    scenario: Source, sets: Sets = None, plugins: Plugins = None, memory: Memory = None, debug: Debug = False
) -> None:
    """Say all that is wrong with a scenario and its data; run nothing."""
    _limit_memory(memory)
    checked = _load(scenario, sets, plugins)
    typer.echo(f"{scenario}: valid; {_forecast(checked)}")


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE [FILE...]", help="With components of your own.")],
    debug: Debug = False,
) -> int:
    """Check that the components in a file keep their contracts; say which input breaks one."""
    from netsim.tools import check as checking

    return DONE if checking.command(files, typer.echo) else FAILED


@app.command("list")
def list_components(
    kind: Annotated[str | None, typer.Argument(help="problem, dataset, compressor, channel, ..., board")] = None,
    plugins: Plugins = None,
    debug: Debug = False,
) -> None:
    """List components, of one kind or all, and the bundled scenarios."""
    from netsim.tools import catalogue

    _load_plugins(plugins)
    typer.echo(catalogue.overview(kind))


@app.command()
def describe(name: str, plugins: Plugins = None, debug: Debug = False) -> None:
    """Describe a component: what it computes, its keys, examples."""
    from netsim.tools import catalogue

    _load_plugins(plugins)
    typer.echo(catalogue.description(name))


@app.command()
def schema(plugins: Plugins = None, debug: Debug = False) -> None:
    """Print the JSON Schema of scenarios, for editors."""
    import json

    from netsim.tools import catalogue

    _load_plugins(plugins)
    typer.echo(json.dumps(catalogue.json_schema(), indent=2))


@app.command()
def report(folder: Annotated[str, typer.Argument(metavar="DIR")], debug: Debug = False) -> None:
    """Write the page of a finished run again."""
    from netsim import report as pages

    typer.echo(str(pages.write(folder)))


@app.command()
def table(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="What netsim run wrote.")],
    rows: Annotated[
        str, typer.Option("--rows", metavar="KEY,KEY", help="label, algorithm, target, or swept keys.")
    ] = "label",
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="KEY,KEY", help="The same [all swept keys that are no rows].")
    ] = None,
    values: Annotated[
        str, typer.Option("--values", metavar="NAME,NAME", help="Columns of summary.csv; time_s means time_s_mean.")
    ] = "time_s",
    where: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only these rows.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="terminal, csv, markdown, latex [by the file's name, or terminal].")
    ] = None,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="Where to [stdout].")] = None,
    debug: Debug = False,
) -> None:
    """Pivot the summary of a sweep: what was spent to the target, by swept keys."""
    from netsim.tools import pivot

    text = pivot.command(folder, rows, columns, values, where or (), form, out)
    typer.echo(text.rstrip("\n"))


@app.command()
def compare(
    folders: Annotated[list[str], typer.Argument(metavar="DIR DIR...")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="The page to write.")] = "compare.html",
    debug: Debug = False,
) -> None:
    """Write one page on several runs, side by side."""
    from netsim import report as pages
    from netsim.files import check_out, is_stdout

    if len(folders) < 2:
        raise ConfigError("compare: at least two folders that netsim run wrote are needed")
    check_out("--out", out)
    typer.echo(str(pages.compare(folders, out)), err=is_stdout(out))


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="One dataset; all without it.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download what is missing.")] = False,
    debug: Debug = False,
) -> None:
    """Show where datasets are or belong; download them."""
    from netsim.tools import datasets

    if fetch and name is None:
        raise ConfigError("data --fetch: the name of a dataset is needed")
    typer.echo(datasets.fetch(name) if fetch and name else datasets.overview(name))


@app.command()
def probe(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO-or-CHANNEL",
            help="A channel's name, a mapping in YAML, a YAML file with channel, or a scenario.",
        ),
    ],
    nodes: Annotated[str, typer.Option(metavar="N,N", help="Senders; the server comes on top.")] = "1",
    message_bytes: Annotated[str, typer.Option(metavar="B,B", help="Sizes; also START:STOP:STEP.")] = "100,1000",
    rate: Annotated[str | None, typer.Option(metavar="R,R", help="Messages per second of each node.")] = None,
    pattern: Annotated[str | None, typer.Option(help="burst, periodic, poisson [burst; poisson with --rate].")] = None,
    trace: Annotated[str | None, typer.Option(metavar="FILE", help="Own messages: time_s, src, dst, bytes.")] = None,
    messages: Annotated[
        int | None, typer.Option(metavar="N", parser=_whole(), help="Of each node [1 in a burst, else 100].")
    ] = None,
    duration: Annotated[str | None, typer.Option(metavar="S", help="In place of --messages, such as 100 s.")] = None,
    to: Annotated[str, typer.Option(help="server, or all: a broadcast.")] = "server",
    header: Annotated[bool, typer.Option("--header", help="Add the 8-byte application header.")] = False,
    replications: Annotated[int, typer.Option(metavar="N", parser=_whole(1))] = 10,
    seed: Annotated[int, typer.Option(metavar="N", parser=_whole())] = 0,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="CSV", help="Where to [stdout].")] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="A figure, SVG.")] = None,
    pcap: Annotated[str | None, typer.Option(metavar="FILE", help="Frames of replication 0 of a single point.")] = None,
    deliveries: Annotated[
        str | None, typer.Option(metavar="CSV", help="Every message of replication 0 of a single point, in ns.")
    ] = None,
    sets: Sets = None,
    jobs: Jobs = 1,
    plugins: Plugins = None,
    debug: Debug = False,
) -> None:
    """Probe a channel without learning: delivery, latency, makespan, airtime, energy."""
    _load_plugins(plugins)
    from netsim.tools import probe_command

    grid = probe_command.Grid(nodes, message_bytes, rate, pattern, trace, messages, duration, to, header)
    files = probe_command.Files(out, plot, pcap, deliveries)
    text = probe_command.command(source, sets or (), grid, files, replications, seed, jobs, plugins or ())
    typer.echo(text.rstrip("\n"))


@app.command("fit-cost")
def fit_cost(
    csv: Annotated[str, typer.Argument(metavar="CSV", help="Of netsim probe, netsim measure, or your own.")],
    x: Annotated[str, typer.Option("--x", help="bytes, T, or a column's name.")] = "bytes",
    y: Annotated[str, typer.Option("--y", help="seconds, joules, or a column's name.")] = "seconds",
    where: Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only these rows.")] = None,
    header_bit: Annotated[
        float, typer.Option(metavar="BIT", parser=_bits, help="Bits of a message that P(T) leaves out.")
    ] = 64.0,
    entry_bit: Annotated[
        float | None,
        typer.Option(metavar="BIT", parser=_bits, help="Bits of a kept coordinate, where sizes are T."),
    ] = None,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="YAML", help="Where to write the cost.")] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="A figure, SVG.")] = None,
    debug: Debug = False,
) -> None:
    """Fit cost models to measured (size, cost) and print the YAML that CAT takes."""
    from netsim.tools import fit

    typer.echo(fit.command(csv, x, y, where or (), header_bit, entry_bit, out, plot).rstrip("\n"))


@app.command()
def measure(
    target: Annotated[
        str | None, typer.Argument(metavar="HOST or serve", help="Where a server runs; or be one.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Be the server as well, on loopback.")] = False,
    bind: Annotated[str, typer.Option(help="Address that serve listens at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", parser=_whole(), help="Of UDP and TCP; ZMQ has the next one.")
    ] = 47100,
    protocols: Annotated[str | None, typer.Option(help="Of udp,tcp,zmq [what is installed].")] = None,
    message_bytes: Annotated[str, typer.Option(metavar="B,B", help="Sizes; also START:STOP:STEP.")] = "64:4096:192",
    messages: Annotated[int, typer.Option(metavar="N", parser=_whole(), help="Of each size.")] = 30,
    warm_up: Annotated[int, typer.Option(metavar="N", parser=_whole(), help="Messages that do not count.")] = 5,
    timeout: Annotated[str, typer.Option(help="After which a message is lost.")] = "1 s",
    limit: Annotated[str, typer.Option(help="Of the whole, up to an hour.")] = "10 min",
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="CSV", help="Where to [stdout].")] = None,
    debug: Debug = False,
) -> None:
    """Time real messages to a host over UDP, TCP and ZMQ, for fit-cost."""
    from netsim.tools import measure as timing

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    text = timing.command(
        target, serve, bind, port, protocols, message_bytes, messages, warm_up, timeout, limit, out, tell
    )
    typer.echo(text.rstrip("\n"))


def _limit_memory(size: str | None) -> None:
    if size is not None:
        from netsim.memory import VARIABLE
        from netsim.units import QuantityError, to_number

        try:
            size_bytes, nearest = to_number(size, "byte"), ""
        except QuantityError as error:
            size_bytes, nearest = 0.0, f". Nearest: {error.nearest}" if error.nearest else ""
        if not 0.0 < size_bytes < math.inf:
            raise ConfigError(f"--memory: a size > 0, such as 8 GB. Got {size!r}{nearest}")
        os.environ[VARIABLE] = repr(size_bytes)


def _forecast(scenario: Any) -> str:
    from netsim import study

    return study.in_words(scenario, study.check(scenario))


def _load(source: str, sets: Sequence[str] | None, plugins: Sequence[str] | None) -> Any:
    _load_plugins(plugins)
    from netsim.scenario import load

    return load(source, sets or ())


def _load_plugins(files: Sequence[str] | None) -> None:
    if files:
        from netsim.registry import load_plugin

        for file in files:
            load_plugin(file)


def _fail(text: str, code: int) -> int:
    print(text if text.endswith((".", ")")) else f"{text}.", file=sys.stderr)
    return code
