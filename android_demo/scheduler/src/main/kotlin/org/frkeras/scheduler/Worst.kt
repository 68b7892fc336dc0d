package org.frkeras.scheduler

/** An option that an application may take: its place in the row, its units and its memory. */
private class Need(val place: Int, val units: Int, val memory: Long)

/** A choice, and its largest urgency. */
private class Limit(val urgency: Double, val places: List<Int>)

/** The choice with the least largest urgency; of all such choices one of least total cost. */
internal fun leastWorst(
    rows: List<List<Option>>,
    units: Int,
    memory: Long,
    start: List<Int>,
): Chosen {
    val found = leastLimit(rows, units, memory, start)
    // The largest urgency may be the limit, but no more.
    val limit = Math.nextUp(found.urgency)
    val needs = rows.map { row -> row.map { it.need(limit) } }
    val begin = found.places.mapIndexed { at, place -> needs[at].take(place).count { it != null } }
    val narrowed = rows.mapIndexed { at, row ->
        row.mapIndexedNotNull { place, one -> needs[at][place]?.let { one.copy(least = it) } }
    }
    return leastTotal(narrowed, units, memory, begin)
}

/** The least largest urgency: the interval in which it lies is halved. */
private fun leastLimit(
    rows: List<List<Option>>,
    units: Int,
    memory: Long,
    start: List<Int>,
): Limit {
    val share = units / rows.size
    val first = start.mapIndexed { at, place -> rows[at][place] }
    var best = Limit(first.most { it.urgency(minOf(share, it.most)) }, start)
    var lower = rows.most { row -> -row.most { -it.urgency(it.most) } }
    while (lower < best.urgency) {
        best = below(rows, best.urgency, units, memory) ?: break
        val middle = (lower + best.urgency) / 2
        if (lower < middle && middle < best.urgency) {
            val found = below(rows, middle, units, memory)
            if (found == null) lower = middle else best = found
        }
    }
    return best
}

/** A choice in which all urgencies are below a limit. */
private fun below(rows: List<List<Option>>, limit: Double, units: Int, memory: Long): Limit? {
    val needs = rows.map { row ->
        val able = ArrayList<Need>(row.size)
        for ((place, one) in row.withIndex()) {
            one.need(limit)?.let { able += Need(place, it, one.memory) }
        }
        if (able.isEmpty()) return null
        able
    }
    val taken = fitting(needs, units, memory) ?: return null
    val urgency = taken.indices.most { rows[it][taken[it].place].urgency(taken[it].units) }
    return Limit(urgency, taken.map { it.place })
}

/** A need of each application so that units and memory suffice; `null` if they do not. */
private fun fitting(needs: List<List<Need>>, units: Int, memory: Long): List<Need>? {
    val quick = needs.map { able -> able.minBy { it.units } }
    if (quick.sumOf { it.units } > units) return null
    if (needs.sumOf { able -> able.minOf { it.memory } } > memory) return null
    return if (quick.sumOf { it.memory } <= memory) quick else leastMemory(needs, units, memory)
}

/** The same by the least memory for each number of units, application by application. */
private fun leastMemory(needs: List<List<Need>>, units: Int, memory: Long): List<Need>? {
    val beyond = memory + 1
    var best = LongArray(units + 1) { if (it == 0) 0 else beyond }
    val steps = needs.map { able ->
        val after = LongArray(units + 1) { beyond }
        val step = arrayOfNulls<Need>(units + 1)
        for (need in able) {
            for (used in need.units..units) {
                val held = best[used - need.units] + need.memory
                if (held < after[used]) {
                    after[used] = held
                    step[used] = need
                }
            }
        }
        best = after
        step
    }
    var used = best.indices.minBy { best[it] }
    if (best[used] > memory) return null
    return steps.asReversed().map { step ->
        checkNotNull(step[used]).also { used -= it.units }
    }.asReversed()
}

/** The largest of numbers; for 0 and -0 the first, as elsewhere. */
private inline fun <T> Iterable<T>.most(number: (T) -> Double): Double {
    var found = Double.NEGATIVE_INFINITY
    for (one in this) number(one).let { if (it > found) found = it }
    return found
}
