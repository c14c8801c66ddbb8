using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api;
using ModelServe.Api.Tracing;
using ModelServe.Host.Options;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ModelServe.Host.Serving;

/// <summary>Sends the spans of requests to the collector that the operator named; without one nothing listens, and nothing leaves the machine.</summary>
internal static class TraceExport
{
    /// <summary>Adds the export if it was asked for.</summary>
    public static void AddTo(IServiceCollection services, ServeOptions options)
    {
        if (options.OtlpEndpoint is not { } collector)
        {
            return;
        }

        // A caller's decision holds for its whole trace; only requests that bring none are drawn.
        var sampler = new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceRatio));
        services.AddOpenTelemetry().WithTracing(traces => traces
            .SetResourceBuilder(ResourceBuilder.CreateEmpty().AddService(SoftwareVersion.Name, serviceVersion: SoftwareVersion.Version))
            .AddSource(RequestSpans.SourceName)
            .SetSampler(sampler)
            .AddOtlpExporter(exporter =>
            {
                exporter.Endpoint = collector;
                exporter.Protocol = OtlpExportProtocol.Grpc;
            }));
    }
}
