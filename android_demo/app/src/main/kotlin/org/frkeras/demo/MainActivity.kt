package org.frkeras.demo

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.View

/** The way to the other screens. */
class MainActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        opens(R.id.draw, DrawActivity::class.java)
        opens(R.id.segment, SegmentActivity::class.java)
        opens(R.id.benchmark, BenchmarkActivity::class.java)
        opens(R.id.together, TogetherActivity::class.java)
    }

    private fun opens(button: Int, screen: Class<out Activity>) {
        find<View>(button).setOnClickListener { startActivity(Intent(this, screen)) }
    }
}
