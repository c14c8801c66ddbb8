namespace ModelServe.Api.Metrics;

/// <summary>
/// Upper bounds of the histograms: those that vLLM publishes, so that its dashboards and alerts work unchanged, and finer
/// ones below, because a small model's token takes less time than their smallest bound.
/// </summary>
internal static class MetricBuckets
{
    /// <summary>Seconds to the first token.</summary>
    public static double[] FirstToken =>
    [
        .001, .0025, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
    ];

    /// <summary>Seconds from one token to the next.</summary>
    public static double[] InterToken =>
    [
        .0005, .001, .002, .003, .005, .0075, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ];

    /// <summary>Seconds of a whole request or of one of its phases.</summary>
    public static double[] Request =>
    [
        .005, .01, .025, .05, .1, .2, .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
    ];

    /// <summary>Tokens of a prompt or an output.</summary>
    public static double[] Tokens =>
    [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000,
    ];

    /// <summary>Seconds of a request in OpenTelemetry's conventions for generative models.</summary>
    public static double[] GenAiDuration => [.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

    /// <summary>Seconds to the first token in the same conventions.</summary>
    public static double[] GenAiFirstToken => [.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10];

    /// <summary>Seconds a token in the same conventions, and finer ones below.</summary>
    public static double[] GenAiOutputToken => [.001, .002, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5];
}
