"""Queries of several threads that become one product: what arrives while a search runs is searched together next.

A pass over a gallery costs what its memory costs, whether for one query or for twenty. A thread that finds no search
running runs one at once, for itself and all that wait; nothing waits for company, so a single client is not slower.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.gallery.store.reader import Reader
from passerby.gallery.store.results import Found
from passerby.gallery.store.where import Where, conditions_of

MOST = 64
"""The number of queries of one product: more are no cheaper each, and the last one would wait for all."""


@dataclass(eq=False)
class _Request:
    """The queries of one thread, and what becomes of them."""

    query: Tensor
    k: int
    where: Sequence[Where]
    done: bool = False
    found: list[list[Found]] | None = None
    error: Exception | None = None


class BatchedSearch:
    """A search in a gallery on disk that many threads may call at once; the gallery's own may not.

    Args:
        store: the gallery, which is then searched through this object only.
        most: the number of queries of one product.
    """

    def __init__(self, store: Reader, *, most: int = MOST) -> None:
        self.store, self.most = store, most
        self.products = 0
        """The number of products so far."""
        self._waiting: list[_Request] = []
        self._changed, self._runs = threading.Condition(), False

    def search(
        self, query: Float[Tensor, "q d"], k: int, where: Where | Sequence[Where] | None = None
    ) -> list[list[Found]]:
        """Return what :meth:`~passerby.gallery.store.reader.Reader.search` returns, and raise what it raises."""
        request = _Request(query.detach().float().cpu(), k, conditions_of(len(query), where))
        with self._changed:
            self._waiting.append(request)
            self._changed.wait_for(lambda: request.done or not self._runs)
            taken = [] if request.done else self._taken(request)
            self._runs = self._runs or bool(taken)
        if taken:
            try:
                self._run(taken)
            finally:
                with self._changed:
                    self._runs = False
                    self._changed.notify_all()
        if request.error is not None:
            raise request.error
        assert request.found is not None
        return request.found

    def _taken(self, own: _Request) -> list[_Request]:
        """Return this thread's request and those that fit beside it, oldest first, which wait no more."""
        taken, count = [own], len(own.query)
        for each in self._waiting:
            if each is not own and each.k == own.k and each.query.shape[1:] == own.query.shape[1:]:
                if count + len(each.query) > self.most:
                    break
                taken.append(each)
                count += len(each.query)
        self._waiting = [each for each in self._waiting if each not in taken]
        return taken

    def _run(self, requests: Sequence[_Request]) -> None:
        """Search for all of some requests; where that fails, for each alone, so that its error is its own."""
        try:
            self.products += 1
            query = torch.cat([each.query for each in requests])
            found = self.store.search(query, requests[0].k, [where for each in requests for where in each.where])
        except Exception as error:  # noqa: BLE001 - the thread that asked raises it
            if len(requests) == 1:
                requests[0].error = error
                requests[0].done = True
            else:
                for each in requests:
                    self._run([each])
            return
        first = 0
        for each in requests:
            each.found = found[first : first + len(each.query)]
            first += len(each.query)
            each.done = True
