package org.frkeras.scheduler

/** Percent of the memory from each level of `onTrimMemory` on. Chosen by us. */
private val TRIM =
    mapOf(0 to 100, 5 to 80, 10 to 60, 15 to 40, 20 to 80, 40 to 60, 60 to 40, 80 to 20)

/** Percent of the processor at each of Android's thermal statuses. Chosen by us. */
private val HEAT = intArrayOf(100, 100, 80, 60, 40, 20, 0)

/**
 * Chooses again after each event, and changes capacities only where it must or it pays.
 *
 * A change that nothing forces must save more than [margin], and comes at least [holdSeconds] after
 * the last change. A new split of the processor among unchanged capacities is free. Times are
 * seconds of a clock of the caller. If the clock jumps back, the wait begins again.
 *
 * @param memory The bytes that all applications together may take.
 * @param holdSeconds The seconds between changes that nothing forces.
 * @param margin What such a change must save, in the cost of all or of the most urgent one.
 * @throws IllegalArgumentException If an argument is not what it must be.
 */
public class Scheduler(
    private var memory: Long,
    private val policy: Policy = Policy.TOTAL,
    private val holdSeconds: Double = 2.0,
    private val margin: Double = 0.01,
) {
    /** What all applications have now. */
    public var plan: Plan = choose(emptyList(), memory, policy = policy)
        private set

    /** When [update] should be called, because a change is waiting; `null` if none is. */
    public var due: Double? = null
        private set

    /** The bytes that all applications together may take now: the memory, less what trims take. */
    public val memoryNow: Long get() = memory * memoryPercent / WHOLE

    /** The percent of the processor that all applications together may take now. */
    public var unitsNow: Int = WHOLE
        private set

    private val applications = LinkedHashMap<String, Application>()
    private var memoryPercent = WHOLE
    private var changed = Double.NEGATIVE_INFINITY

    init {
        require(holdSeconds.isFinite() && holdSeconds >= 0) {
            "`holdSeconds` must be a finite number, 0 or more. Received: holdSeconds=$holdSeconds"
        }
        require(margin.isFinite() && margin >= 0) {
            "`margin` must be a finite number, 0 or more. Received: margin=$margin"
        }
    }

    /** An application starts. */
    public fun start(application: Application, now: Double): Plan {
        require(application.name !in applications) {
            "`application` must have a name that none has yet: end the other one first. " +
                "Received: '${application.name}'"
        }
        return at(now) { applications[application.name] = application }
    }

    /** An application ends. */
    public fun end(name: String, now: Double): Plan {
        known(name)
        return at(now) { applications.remove(name) }
    }

    /** The priority of an application changes. */
    public fun prioritize(name: String, priority: Double, now: Double): Plan {
        val other = known(name).copy(priority = priority)
        return at(now) { applications[name] = other }
    }

    /** The latencies that applications ask for change, by name: of all of them at once. */
    public fun bound(boundsMs: Map<String, Double>, now: Double): Plan {
        val others = boundsMs.map { (name, boundMs) -> known(name).copy(boundMs = boundMs) }
        return at(now) { others.forEach { applications[it.name] = it } }
    }

    /** The memory that all together may take changes; what [trim] said stays. */
    public fun allow(memory: Long, now: Double): Plan {
        require(memory >= 0) { "`memory` must be 0 or more bytes. Received: memory=$memory" }
        return at(now) { this.memory = memory }
    }

    /**
     * Android says how short memory is: the level of `onTrimMemory`. It never says that memory is
     * back: give 0 when it is.
     */
    public fun trim(level: Int, now: Double): Plan {
        require(level >= 0) {
            "`level` must be 0 (memory is back) or more. Received: level=$level"
        }
        return at(now) { memoryPercent = TRIM.getValue(TRIM.keys.last { it <= level }) }
    }

    /** Android says how hot the phone is: the thermal status, 0 (none) to 6 (shutdown). */
    public fun heat(status: Int, now: Double): Plan {
        require(status in HEAT.indices) { "`status` must be 0 to 6. Received: status=$status" }
        return at(now) { unitsNow = HEAT[status] }
    }

    /** Chooses again: when a change is [due]. */
    public fun update(now: Double): Plan = at(now) {}

    private fun at(now: Double, event: () -> Unit): Plan {
        require(now.isFinite()) { "`now` must be a finite number of seconds. Received: now=$now" }
        event()
        changed = minOf(changed, now)
        val best = chosen(emptyMap())
        val stay = chosen(held())
        val free = changed + holdSeconds
        return when {
            stay.waiting != best.waiting -> take(best, now, null)
            !pays(best, stay) -> take(stay, now, null)
            now < free -> take(stay, now, free)
            else -> take(best, now, null)
        }
    }

    private fun take(plan: Plan, now: Double, due: Double?): Plan {
        val held = held()
        val other = plan.shares.any { (name, one) -> (held[name] ?: one.capacity) != one.capacity }
        if (other) changed = now
        this.plan = plan
        this.due = due
        return plan
    }

    private fun pays(best: Plan, stay: Plan): Boolean {
        val saved = stay.cost - best.cost
        val worst = stay.worst - best.worst
        return saved > margin || (policy == Policy.WORST && worst > margin)
    }

    private fun chosen(held: Map<String, Int>): Plan =
        choose(applications.values.toList(), memoryNow, unitsNow, policy, held)

    /** The capacities of the applications that run and have not ended. */
    private fun held(): Map<String, Int> =
        plan.shares.filterKeys { it in applications }.mapValues { it.value.capacity }

    private fun known(name: String): Application = requireNotNull(applications[name]) {
        val known = applications.keys.joinToString().ifEmpty { "none" }
        "`name` must be that of an application that has started: $known. Received: '$name'"
    }
}
