package org.frkeras.demo

import android.content.Context
import android.os.Build
import android.os.PowerManager

/** Listens to Android's thermal status, which is there from Android 10 on. */
class Heat(private val context: Context, private val told: (Int) -> Unit) {
    private var stop: () -> Unit = {}

    /** Begins to listen, on the main thread; Android tells the status at once. */
    fun start() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return
        val power = context.getSystemService(PowerManager::class.java) ?: return
        val listener = PowerManager.OnThermalStatusChangedListener { told(it) }
        power.addThermalStatusListener(listener)
        stop = { power.removeThermalStatusListener(listener) }
    }

    fun stop() {
        stop.invoke()
        stop = {}
    }
}
