// An example for Android, made for model.tflite in this folder; see docs/android.md of fr_keras.
// It needs LiteRT: implementation("com.google.ai.edge.litert:litert:1.4.2")
import java.io.File
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter

/** Runs the network on one thread at a time, and not on the main thread. */
class Model(file: File, threads: Int = 2) : AutoCloseable {
    private val interpreter = Interpreter(file, Interpreter.Options().setNumThreads(threads))

    /**
     * Returns the answers of the network, {{ output.shape[1:]|join(" x ") }} numbers.
     *
     * @param values {{ input.shape[1:]|join(" x ") }} numbers, the last axis fastest{% if pixels %}: pixels from 0 to 255{% endif %}.
     */
    fun run(values: FloatArray): FloatArray {
        require(values.size == {{ sizes[0] }}) { "The network takes {{ sizes[0] }} numbers, not ${values.size}" }
        val input = ByteBuffer.allocateDirect({{ sizes[0] }})
        for (value in values) {
            val number = Math.rint((({{ scaled }}) / {{ input.scale }}f).toDouble()).toInt() + {{ input.zero_point }}
            input.put(number.coerceIn(-128, 127).toByte())
        }
        input.rewind()
        val output = ByteBuffer.allocateDirect({{ sizes[1] }})
        interpreter.run(input, output)
        output.rewind()
        return FloatArray({{ sizes[1] }}) { (output.get(it) - {{ output.zero_point }}) * {{ output.scale }}f }
    }
{% if labels %}
    /** Returns the most likely class. */
    fun classify(values: FloatArray): String {
        val scores = run(values)
        return LABELS[scores.indices.maxByOrNull { scores[it] }!!]
    }
{% endif %}
    override fun close() = interpreter.close()
{% if labels %}
    companion object {
        val LABELS = listOf(
{% for label in labels %}            "{{ label }}",
{% endfor %}        )
    }
{% endif %}}
