"""``@linked``: Numba's ``njit`` for functions that are only ever linked into a kernel.

Left to itself Numba optimises every function and makes machine code of it, links it into its callers and
does both again there: the innermost lines of a kernel pass through LLVM eight times. A linked function has
no machine code of its own, and only one that calls no other is optimised by itself: in all a third of the
time that a kernel's first call takes to compile, for the same code.
"""

# mypy: disable-error-code="misc, attr-defined"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
from numba import _dynfunc
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.sigutils import normalize_signature
from numba.core.typed_passes import NativeLowering


class _Library(JITCodeLibrary):
    """LLVM's code of a function; what it calls is linked where it is."""

    def finalize(self) -> None:
        if not self._linking_libraries:
            self._optimize_final_module()
        self._finalize_dynamic_globals()
        self._finalized = True

    def needed(self) -> list[JITCodeLibrary]:
        """Return this library and those that its code calls."""
        return list(dict.fromkeys([self, *self._linking_libraries]))


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    """Numba's last step, without machine code."""

    _name = "linked_lowering"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        library = state.library = _Library(state.targetctx.codegen(), name)
        library.enable_object_caching()
        state.flags.no_compile = True
        super().run_pass(state)
        made = state["cr"]
        key = _dynfunc.make_function(made.fndesc.lookup_module(), name, "", 0, made.env, (library,))
        state.targetctx.insert_user_function(key, made.fndesc, library.needed())
        state.reload_init.extend(library._reload_init)
        state["cr"] = made._replace(cfunc=key)
        return True


_LEFT_OUT = {
    "DumpParforDiagnostics", "FindLiterallyCalls", "InlineClosureLikes", "InlineInlinables",
    "InlineOverloads", "LiteralPropagationSubPipelinePass", "LiteralUnroll", "MakeFunctionToJitFunction",
    "NoPythonSupportedFeatureValidation", "NopythonRewrites", "RewriteDynamicRaises", "WithLifting",
}  # fmt: skip
"""Numba's steps for what no kernel contains: closures, comprehensions, array expressions, exceptions."""


class _Compiler(CompilerBase):
    """Numba's compiler with that last step."""

    def define_pipelines(self) -> list[PassManager]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state).passes
        ours = PassManager("linked")
        ours.passes = [
            (_Lowering if step is NativeLowering else step, why)
            for step, why in passes
            if step.__name__ not in _LEFT_OUT
        ]
        ours.finalize()
        return [ours]


_FAST: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
"""Numba's options for whatever a kernel is made of."""
_FAST_C = {key: value for key, value in _FAST.items() if key != "nogil"}  # C holds no lock of Python's
_OPTIONS = {**_FAST, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _Compiler}


def linked(function: Callable[..., Any]) -> Any:
    """Return a function that compiled code may call, and Python may not."""
    return nb.njit(function, **_OPTIONS)


def entry(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator for what Python calls, compiled at once and, in a generated module, kept on disk."""

    def compiled(function: Callable[..., Any]) -> Any:
        made = nb.njit(function, **_FAST)
        kept = _kept(function)
        if kept is not None:
            made._cache = kept
        made.compile(signature)
        made.disable_compile()
        return made

    return compiled


def c_entry(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator for what C calls, compiled in generated modules only: there it is kept on disk."""

    def compiled(function: Callable[..., Any]) -> Any:
        kept = _kept(function)
        if kept is None:
            return function
        made = CFunc(function, normalize_signature(signature), {}, _FAST_C)
        made._cache = kept
        made.compile()
        return made

    return compiled


def _kept(function: Callable[..., Any]) -> Any:
    """Return what a generated module has compiled of a function; see ``kernels/cpu/generated.py``."""
    code = function.__globals__.get("_MEMSPAN_CODE")
    return None if code is None else code.of(function)
