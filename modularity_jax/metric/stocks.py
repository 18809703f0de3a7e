"""What all shuffles of a graph by one method have in common: which values there are, and where they may go.

All methods give arrays of the same shapes, so that one program serves them. On the host where the weights have values,
which compiles nothing; the same arithmetic under a transformation.
"""

import itertools
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.methods import Lines, method_of
from modularity_jax.metric.permutation import Cells, Grid, cells_of, grid_of, hash32, num_outside, numbers_of
from modularity_jax.metric.strengths import Model, fit
from modularity_jax.metric.trades import Trades
from modularity_jax.programs import is_concrete

Array = Any  # NumPy's or JAX's
T = TypeVar("T", bound=Any)

# Values and cells outside that are dealt in one turn of a loop.
VALUES_AT_ONCE = 2**15
OUTSIDE_AT_ONCE = 2**11


class Values(NamedTuple):
    """The non-zero weights of all blocks, one block after the other, [C] each; behind them zeros."""

    values: Array
    cells: Cells  # of the rank of each value's place in its line
    line_start: Array  # int32, where the line begins in `Stock.table`
    cell: Any = None  # int32, number of the value's place in all blocks, where it is traded


class Outside(NamedTuple):
    """Cells of the grids of all lines that lie beyond their ranks; [O] each, those that there are not have size 0."""

    cells: Cells
    size: Array  # uint32, ranks of the line
    line_start: Array  # int32, as above


class Stock(NamedTuple):
    """All blocks of weights. No shape depends on how many are zero, nor on the method."""

    values: Values
    table: Array  # [T] int32, for each line's ranks their place in the control's weights; a large one for no rank
    index_of: Array  # [T] int32, the index of the value at each line's ranks; C where there is none
    outside: Outside
    num_values: Array  # [blocks] int32
    turns: Array  # [2] int32, of `VALUES_AT_ONCE` and of `OUTSIDE_AT_ONCE`, that hold all values and all cells outside
    trades: Trades | None = None  # of a method whose places are traded; the table is then made by them
    models: tuple[Model, ...] | None = None  # of the blocks, whose residuals are the values


NOWHERE = np.iinfo(np.int32).max


def stock(graph: Graph, method: str, *, in_form: bool = False) -> Stock | None:
    """The stock of a graph for a control of `METHODS`; None for one that makes the graph again of its samples.

    Args:
      graph: as `shuffle` takes it.
      method: of `METHODS`.
      in_form: places are those of the graph's form, not of its blocks one after the other, if the method allows it:
        strengths are restored block by block.
    """
    xp, used = np if is_concrete(graph) else jnp, method_of(method)
    if used.remade:
        return None
    weights, rows, columns = _blocks(graph, xp)
    bounds = np.cumsum([0, *(block.size for block in weights)])
    places = [np.arange(start, end, dtype=np.int32) for start, end in itertools.pairwise(bounds)]
    if in_form and not used.modelled:
        places = graph.form().places()
    places = [own.reshape(block.shape) for own, block in zip(places, weights, strict=True)]
    shapes = [block.shape for block in weights]
    if used.across_blocks:
        weights, rows, columns, places = _as_one(xp, weights, rows, columns, places)
    if used.turned:
        weights, rows, columns = [block.T for block in weights], columns, rows
        places = [own.T for own in places]
    fitted = [fit(xp, block) for block in weights] if used.modelled else []
    models, weights = tuple(model for model, _ in fitted) or None, [own for _, own in fitted] or weights
    made, outside, tables = [], [], []
    first_line = first_place = 0
    for block, own_rows, own_columns, place, first_cell in zip(weights, rows, columns, places, bounds, strict=False):
        lines = used.lines(xp, block, own_rows, own_columns)
        tables.append(_table(xp, lines, place.reshape(-1)))
        made.append(_values(xp, lines, first_line, first_place, first_cell if used.traded else None))
        outside.append(_outside(xp, lines, first_line, first_place))
        first_line, first_place = first_line + sum(block.shape), first_place + tables[-1].size
    known = [own.values > 0 for own in made]
    capacity = sum(block.size for block in weights)
    counts = [own.sum(dtype=xp.int32) for own in known]
    num_values = xp.stack(counts + [xp.zeros_like(counts[0])] * (len(shapes) - len(counts)))
    values, value_turns = _joined(xp, made, known, capacity, VALUES_AT_ONCE)
    capacity = sum(map(_num_outside, shapes))
    beyond, outside_turns = _joined(xp, outside, [own.size > 0 for own in outside], capacity, OUTSIDE_AT_ONCE)
    length = sum(block.size for block in weights) + capacity
    table = xp.concatenate([*tables, xp.full(length - first_place, NOWHERE, xp.int32)])
    at = values.line_start + numbers_of(values.cells).astype(xp.int32)
    index_of = _scatter(xp, length, xp.where(values.values > 0, at, length), values.values.size)
    trades = _trades(xp, [block.shape for block in weights], places, values.cell, models) if used.traded else None
    turns = xp.stack([value_turns, outside_turns])
    return Stock(values, table, index_of, beyond, num_values, turns, trades, models)


def _as_one(xp: ModuleType, weights: list[Array], rows: list[Array], columns: list[Array], places: list[Any]) -> Any:
    """The same of one block [1, E] of all places, those of all blocks one after the other."""
    live = [own[:, None] & others[None, :] for own, others in zip(rows, columns, strict=True)]
    flat, every, own = (xp.concatenate([x.reshape(-1) for x in parts]) for parts in (weights, live, places))
    return [flat[None]], [xp.ones(1, bool)], [every], [own[None]]


def _length(lines: Lines) -> int:
    """Cells at most of a line's grid, for which the table has room."""
    return lines.stride + num_outside(lines.stride)


def _table(xp: ModuleType, lines: Lines, places: np.ndarray) -> Array:
    """The block's part of `Stock.table`; places [M] are those of the block, or of its transpose."""
    first = xp.arange(lines.live.size, dtype=xp.int32)[:, None] * lines.stride
    at = first + lines.place_of[None, :]
    known = xp.broadcast_to(lines.place_of[None, :] < lines.flat.size, at.shape)
    own = xp.where(known, xp.asarray(places)[xp.minimum(at, places.size - 1)], NOWHERE)
    padding = xp.full((lines.live.size, _length(lines) - lines.stride), NOWHERE, xp.int32)
    return xp.concatenate([own.astype(xp.int32), padding], axis=1).reshape(-1)


def _values(xp: ModuleType, lines: Lines, first_line: int, first_place: int, first_cell: int | None) -> Values:
    """The block's values; all of its places where it is not known which of them are 0."""
    at: Array = np.flatnonzero(lines.flat > 0) if xp is np else jnp.arange(lines.flat.size, dtype=jnp.int32)
    line = (at // lines.stride).astype(xp.int32)
    grid = grid_of(xp.maximum(lines.size, xp.uint32(1)), xp)
    if lines.size.ndim:
        grid = Grid(grid.rows[line], grid.columns[line])
    cells = cells_of(lines.rank[at].astype(xp.uint32), grid, _salt(xp, line, first_line))
    starts = (first_place + line * _length(lines)).astype(xp.int32)
    cell = None if first_cell is None else (first_cell + at).astype(xp.int32)
    return Values(lines.flat[at], cells, starts, cell)


def _outside(xp: ModuleType, lines: Lines, first_line: int, first_place: int) -> Outside:
    """The cells outside of each line, [O]."""
    size = xp.maximum(lines.size, xp.uint32(1)).reshape(-1, 1)
    grid = grid_of(size, xp)
    beyond = xp.arange(num_outside(lines.stride), dtype=xp.uint32)
    numbers = xp.broadcast_to(size + beyond[None, :], (lines.live.size, beyond.size))
    there = lines.live[:, None] & (numbers < grid.rows * grid.columns)
    line = xp.broadcast_to(xp.arange(lines.live.size, dtype=xp.int32)[:, None], numbers.shape)
    cells = cells_of(numbers, grid, _salt(xp, line, first_line))
    starts = (first_place + line * _length(lines)).astype(xp.int32)
    return jax.tree.map(lambda x: x.reshape(-1), Outside(cells, xp.where(there, size, xp.uint32(0)), starts))


def _trades(
    xp: ModuleType, shapes: list[tuple[int, int]], places: list[np.ndarray], cell: Array, models: Any
) -> Trades:
    """Where the values [C] stand, by the numbers of their cells."""
    heights, widths = np.array(shapes, np.int32).T
    starts = np.cumsum(heights * widths, dtype=np.int32) - heights * widths
    rows, columns = np.cumsum(heights, dtype=np.int32) - heights, np.cumsum(widths, dtype=np.int32) - widths
    block = xp.searchsorted(xp.asarray(starts[1:]), cell, side="right").astype(xp.int32)
    row, column = xp.divmod(cell - xp.asarray(starts)[block], xp.asarray(widths)[block])
    column += xp.asarray(columns)[block]
    own = xp.concatenate([place.reshape(-1) for place in places]).astype(xp.int32)
    if models is None:
        return Trades(column, cell - column, own)
    of_rows, of_columns = (xp.concatenate([model.effects[side] for model in models]) for side in (0, 1))
    return Trades(column, cell - column, own, (of_rows[xp.asarray(rows)[block] + row], of_columns))


def _joined(xp: ModuleType, parts: list[T], there: list[Array], capacity: int, at_once: int) -> tuple[T, Array]:
    """What is there of the parts [C_b], one after the other, filled up to the capacity, and the turns that hold it.

    Arrays of up to at_once entries are one turn, whatever their length; longer ones are whole turns of so many.
    """
    joined, known = jax.tree.map(lambda *own: xp.concatenate(own), *parts), xp.concatenate(there)
    count = xp.asarray(known.sum(dtype=xp.int32))
    if xp is np:
        joined = jax.tree.map(lambda x: x[known], joined)
    else:  # the same order, and behind it what counts for nothing
        order = jnp.argsort(~known, stable=True)
        joined = jax.tree.map(lambda x: x[order], joined)
    at_once = min(at_once, max(1, capacity))
    length = -(-max(1, capacity) // at_once) * at_once
    # What is not there has a grid of one cell, so that it is a number like any other.
    filled = jax.tree.map(lambda x: xp.concatenate([x, xp.full(length - x.size, 0, x.dtype)]), joined)
    sides = xp.full(length - joined.cells.grid.size, (1 << 16) + 1, xp.uint32)
    filled = filled._replace(cells=filled.cells._replace(grid=xp.concatenate([joined.cells.grid, sides])))
    return filled, xp.asarray(-(-count // at_once), xp.int32)


def _num_outside(shape: tuple[int, int]) -> int:
    """Cells outside of a block's lines at most, whatever the method."""
    height, width = shape
    return max(num_outside(height * width), height * num_outside(width), width * num_outside(height))


def _blocks(graph: Graph, xp: ModuleType) -> tuple[list[Array], list[Array], list[Array]]:
    """Blocks of weights, and which of their rows and columns are connected; of a list, all are."""
    blocks = graph.blocks()
    connected: Array = None
    if any(block.rows for block in blocks):
        connected = graph.connected() if xp is np else graph.degrees() > 0
    weights = [xp.asarray(block.weights) for block in blocks]
    weights = [w if w.ndim == 2 else w[None, :] for w in weights]
    rows = [_live(xp, connected, block.rows, w.shape[0]) for block, w in zip(blocks, weights, strict=True)]
    columns = [_live(xp, connected, block.columns, w.shape[1]) for block, w in zip(blocks, weights, strict=True)]
    return weights, rows, columns


def _live(xp: ModuleType, connected: Array, vertices: slice | None, size: int) -> Array:
    return xp.ones(size, bool) if vertices is None else connected[vertices]


def _salt(xp: ModuleType, line: Array, first_line: int) -> Array:
    """What tells the permutations of lines apart, [...] uint32, none the same for two lines of a graph."""
    return hash32(line.astype(xp.uint32) + xp.uint32(first_line + 1), xp)


def _scatter(xp: ModuleType, length: int, at: Array, count: int) -> Array:
    """An array [length] int32 with the numbers 0..count - 1 at the given places, and `count` elsewhere."""
    numbers = xp.arange(count, dtype=xp.int32)
    if xp is np:
        made = np.full(length + 1, count, np.int32)
        made[at] = numbers
        return made[:length]
    return jnp.full(length, count, jnp.int32).at[at].set(numbers, mode="drop")
