"""The processor's mode in which denormals count as zero: they are slow, and too small to matter."""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from memspan.linked import linked
from memspan.simd.host import IS_X86
from memspan.simd.vectors import I32, Context, call_llvm, pointer_to


def _control_word(store: bool) -> Any:
    """Return an intrinsic that reads or writes the word of floating-point modes (MXCSR) at an address."""
    name = "llvm.x86.sse.stmxcsr" if store else "llvm.x86.sse.ldmxcsr"

    @intrinsic
    def word(typing: Context, address: Any) -> Any:
        def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
            if IS_X86:
                call_llvm(builder, name, ir.VoidType(), [pointer_to(builder, args[0], ir.IntType(8))])
            return context.get_dummy_value()

        return types.void(types.intp), generate

    return word


_read_modes, _write_modes = _control_word(True), _control_word(False)
_FLUSH = 0x8040  # denormal results and denormal operands count as zero


@intrinsic
def _set_flush(typing: Context, address: Any) -> Any:
    """Set the flush bits in the 32-bit word at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        word = pointer_to(builder, args[0], I32)
        builder.store(builder.or_(builder.load(word), ir.Constant(I32, _FLUSH)), word)
        return context.get_dummy_value()

    return types.void(types.intp), generate


@linked
def flush_denormals(scratch):
    """Treat denormals as zero in this thread until ``restore_modes``; scratch: address of 8 bytes."""
    _read_modes(scratch)
    _read_modes(scratch + 4)
    _set_flush(scratch + 4)
    _write_modes(scratch + 4)


@linked
def restore_modes(scratch):
    """Undo ``flush_denormals``."""
    _write_modes(scratch)
