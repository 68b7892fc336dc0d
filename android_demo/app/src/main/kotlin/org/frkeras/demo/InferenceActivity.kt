package org.frkeras.demo

import android.app.Activity
import android.content.ComponentCallbacks2
import org.frkeras.demo.logic.Inference

/** A screen with a network, which it lets go when it is not seen or memory is short. */
abstract class InferenceActivity : Activity() {
    protected abstract val inference: Inference

    override fun onStop() {
        super.onStop()
        if (!isChangingConfigurations) inference.release()
    }

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        if (level >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND) inference.release()
    }

    override fun onLowMemory() {
        super.onLowMemory()
        inference.release()
    }
}
