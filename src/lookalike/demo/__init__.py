"""The demonstration: the closest of 1,500 handwritten digits, by hash tables and exactly.

Classic LSH with several k and m, exact search, and brute force in NumPy find the closest
stored image of 297 others. The hits of all are judged by distances that NumPy computes.
A second one shows, on 60,000 pictures, the recall asked for and the recall reached.
"""

from __future__ import annotations

from lookalike.demo.measure import run_demo
from lookalike.demo.page import demo_page
from lookalike.demo.promise import PromiseResult, run_promise
from lookalike.demo.results import DemoResult, Method, Wanted, summary

__all__ = [
    "DemoResult",
    "Method",
    "PromiseResult",
    "Wanted",
    "demo_page",
    "run_demo",
    "run_promise",
    "summary",
]
