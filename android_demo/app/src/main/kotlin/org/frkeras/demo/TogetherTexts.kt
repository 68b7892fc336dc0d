package org.frkeras.demo

import android.content.Context
import android.text.format.Formatter
import kotlin.math.abs
import org.frkeras.demo.logic.Comparison
import org.frkeras.demo.logic.Standing
import org.frkeras.demo.logic.TogetherLine
import org.frkeras.demo.logic.TogetherState
import org.frkeras.demo.logic.Totals

/** The words of the screen *Together*. */
class TogetherTexts(private val context: Context) {
    fun memory(state: TogetherState): String {
        val (all, now) = bytes(state.memory) to bytes(state.memoryNow)
        return if (state.memoryNow < state.memory) {
            context.getString(R.string.together_memory_short, all, now)
        } else {
            context.getString(R.string.together_memory, all)
        }
    }

    fun pace(state: TogetherState): String {
        val pace = number(state.perSecond)
        return if (state.unitsNow < WHOLE) {
            context.getString(R.string.together_pace_hot, pace, state.unitsNow)
        } else {
            context.getString(R.string.together_pace, pace)
        }
    }

    /** How it stands with a network. */
    fun line(state: TogetherState, line: TogetherLine): String {
        val text = when (line.standing) {
            Standing.OFF -> context.getString(R.string.together_off)
            Standing.MEASURING ->
                context.getString(R.string.together_measuring, state.measured, state.capacities)
            Standing.STARTING -> context.getString(R.string.together_starting)
            Standing.NO_MEMORY -> context.getString(
                R.string.together_no_memory,
                bytes(line.network.capacities.minOf { it.memory }),
            )
            Standing.NO_PROCESSOR -> context.getString(R.string.together_no_processor)
            Standing.RUNNING -> running(line)
        }
        val failure = line.failure?.let { context.getString(R.string.together_failure, it) }
        return listOfNotNull(text, failure).joinToString("\n")
    }

    private fun running(line: TogetherLine): String {
        val capacity = checkNotNull(line.capacity)
        val said = line.performance
        val where = if (line.isMeasured) {
            R.string.together_capacity
        } else {
            R.string.together_capacity_elsewhere
        }
        val has = context.getString(
            where,
            checkNotNull(line.place) + 1,
            line.network.capacities.size,
            PERCENT * capacity.accuracy,
            bytes(capacity.memory),
            number(capacity.latencyMs),
        )
        val rate = context.getString(
            R.string.together_rate,
            number(said.perSecond),
            number(line.planned),
            said.missed,
            said.missedInSwitches,
        )
        val changes = context.getString(R.string.together_changes, said.switches, said.closedFirst)
            .takeIf { said.switches > 0 }
        val loading = said.loading?.let { context.getString(R.string.together_loading, it + 1) }
        return listOfNotNull(has, rate, changes, loading).joinToString("\n")
    }

    /** What capacities are good for. */
    fun comparison(found: Comparison): String {
        val (now, fixed) = found.together to found.fixed
        val less = fixed.memory - now.memory
        val gain = context.getString(
            if (less >= 0) R.string.together_saves else R.string.together_takes,
            bytes(abs(less)),
            PERCENT * (now.accuracy - fixed.accuracy),
            number(now.perSecond - fixed.perSecond),
        )
        return listOf(
            totals(R.string.together_now, now),
            totals(R.string.together_fixed, fixed),
            gain,
        ).joinToString("\n")
    }

    private fun totals(name: Int, found: Totals) = context.getString(
        R.string.together_totals,
        context.getString(name),
        found.running,
        found.asked,
        bytes(found.memory),
        PERCENT * found.accuracy,
        number(found.perSecond),
        found.cost,
    )

    private fun bytes(number: Long) = Formatter.formatShortFileSize(context, number)

    /** Three digits, more where there are more before the point. */
    private fun number(value: Double): String {
        val digits = when {
            abs(value) < FEW -> 2
            abs(value) < MANY -> 1
            else -> 0
        }
        return "%.${digits}f".format(context.resources.configuration.locales[0], value)
    }

    private companion object {
        const val WHOLE = 100
        const val PERCENT = 100.0
        const val FEW = 10.0
        const val MANY = 100.0
    }
}
