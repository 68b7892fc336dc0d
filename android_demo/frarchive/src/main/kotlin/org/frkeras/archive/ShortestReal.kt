package org.frkeras.archive

import java.math.BigDecimal
import java.math.MathContext
import java.math.RoundingMode

private const val MOST_DIGITS = 17

/**
 * Whether a decimal number is how Python writes the double that it stands for: in the fewest digits
 * that no other double has, the nearest of these, laid out as `repr` does.
 */
internal fun isShortestReal(text: String): Boolean {
    val real = text.toDouble()
    if (real == 0.0) return text == "0.0" || text == "-0.0"
    if (real.isInfinite()) return false
    val decimal = BigDecimal(text).stripTrailingZeros().abs()
    val sign = if (real < 0) "-" else ""
    return text == sign + laidOut(decimal) && isShortest(decimal, Math.abs(real))
}

/** Python's `repr`: with an exponent below `1e-4` and from `1e16` on. */
private fun laidOut(decimal: BigDecimal): String {
    val digits = decimal.unscaledValue().toString()
    val exponent = digits.length - decimal.scale() - 1
    if (exponent in -4..15) {
        val plain = decimal.toPlainString()
        return if ('.' in plain) plain else "$plain.0"
    }
    val fraction = if (digits.length > 1) "." + digits.substring(1) else ""
    val sign = if (exponent < 0) '-' else '+'
    return "${digits[0]}$fraction" + "e$sign" + "${Math.abs(exponent)}".padStart(2, '0')
}

private fun isShortest(decimal: BigDecimal, real: Double): Boolean {
    val digits = decimal.precision()
    if (digits > MOST_DIGITS) return false
    if (digits > 1) {
        // One digit less: a shorter one lies at one of these, or further away.
        for (rounding in arrayOf(RoundingMode.DOWN, RoundingMode.UP)) {
            if (decimal.round(MathContext(digits - 1, rounding)).toDouble() == real) return false
        }
    }
    val exact by lazy(LazyThreadSafetyMode.NONE) { BigDecimal(real) }
    return arrayOf(decimal - decimal.ulp(), decimal + decimal.ulp()).none { other ->
        other.toDouble() == real && (other - exact).abs() < (decimal - exact).abs()
    }
}
