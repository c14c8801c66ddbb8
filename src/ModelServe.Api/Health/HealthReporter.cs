using Grpc.HealthCheck;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Models;
using ModelServe.Engine.Running;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace ModelServe.Api.Health;

/// <summary>Keeps grpc.health.v1 true: one name a model, and "" for the whole server, which serves while every model does.</summary>
/// <remarks>
/// Watchers are told when something changes, at most one period late; a service that meets a failed engine asks for a look at
/// once (<see cref="Refresh"/>), and a drain is told at once. A failed model never serves again in this process. A model with
/// several replicas serves while one of them does, and has failed when all have.
/// </remarks>
internal sealed partial class HealthReporter(
    ModelCatalog catalog, HealthServiceImpl service, EngineFailure failure, ApiOptions options, TimeProvider time, ILogger<HealthReporter> logger)
    : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, ModelCondition> _told = new(StringComparer.Ordinal);
    private readonly HashSet<IEngine> _lostReplicas = [];
    private bool _draining;

    /// <summary>Whether every model takes requests; looked at now.</summary>
    public bool IsReady => !_draining && catalog.Models.All(model => Condition(model) == ModelCondition.Serving);

    /// <summary>Whether no engine, of any replica, has failed or stands still; what a restart would cure. Looked at now.</summary>
    public bool IsProgressing => catalog.Models.SelectMany(model => model.Replicas.Replicas)
        .All(replica => Condition(replica) is ModelCondition.Serving or ModelCondition.Draining or ModelCondition.Paused);

    /// <summary>The condition of one model at this moment.</summary>
    public ModelCondition Condition(ServedModel model) => WhileDraining(ModelConditions.Of(model, options.StallLimit, time.GetUtcNow()));

    /// <summary>The condition of one replica at this moment.</summary>
    public ModelCondition Condition(IEngine replica) => WhileDraining(ModelConditions.Of(replica, options.StallLimit, time.GetUtcNow()));

    /// <summary>Looks at every model and tells watchers what changed. Any thread.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            bool all = true;
            foreach (ServedModel model in catalog.Models)
            {
                ModelCondition condition = Condition(model);
                all &= condition == ModelCondition.Serving;
                if (!_told.TryGetValue(model.Name, out ModelCondition before) || before != condition)
                {
                    _told[model.Name] = condition;
                    service.SetStatus(model.Name, Status(condition == ModelCondition.Serving));
                    Tell(model, condition);
                }

                TellLostReplicas(model);
            }

            ForgetUnloaded();
            service.SetStatus(string.Empty, Status(all));
        }
    }

    /// <summary>From now on nothing serves.</summary>
    public void BeginDrain()
    {
        lock (_gate)
        {
            _draining = true;
        }

        Refresh();
    }

    /// <inheritdoc/>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        // Before the listener opens, so that no probe finds the names unknown.
        Refresh();
        return base.StartAsync(cancellationToken);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A disposed timer ends the loop without an exception, which a host that fails to start would report as a crash.
        using var timer = new PeriodicTimer(Period, time);
        await using CancellationTokenRegistration stop = stoppingToken.UnsafeRegister(static state => ((PeriodicTimer)state!).Dispose(), timer);
        while (await timer.WaitForNextTickAsync(CancellationToken.None))
        {
            Refresh();
        }
    }

    private void ForgetUnloaded()
    {
        foreach (string name in _told.Keys.Where(name => catalog.Find(name)?.Stage != CatalogStage.Served).ToArray())
        {
            _told.Remove(name);
            service.ClearStatus(name);
        }

        _lostReplicas.RemoveWhere(lost => !catalog.Models.Any(model => model.Replicas.Replicas.Contains(lost)));
    }

    private ModelCondition WhileDraining(ModelCondition condition) =>
        condition == ModelCondition.Serving && _draining ? ModelCondition.Draining : condition;

    private void TellLostReplicas(ServedModel model)
    {
        IReadOnlyList<IEngine> replicas = model.Replicas.Replicas;
        for (int i = 0; i < replicas.Count && replicas.Count > 1; i++)
        {
            if (replicas[i].Status.Failure is { } reason && _lostReplicas.Add(replicas[i]))
            {
                Log.LostReplica(logger, model.Name, i, replicas.Count(replica => replica.Status.Failure is null), replicas.Count, reason);
            }
        }
    }

    private void Tell(ServedModel model, ModelCondition condition)
    {
        if (model.Engine.Status.Failure is { } reason)
        {
            Log.Failed(logger, model.Name, reason);
            failure.Report(model.Name);
        }
        else
        {
            Log.Changed(logger, model.Name, condition);
        }
    }

    private static ServingStatus Status(bool serving) => serving ? ServingStatus.Serving : ServingStatus.NotServing;

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "Model {Model} is {Condition}")]
        public static partial void Changed(ILogger logger, string model, ModelCondition condition);

        [LoggerMessage(EventId = 2, Level = LogLevel.Error, Message = "Model {Model} is served no more: {Failure}")]
        public static partial void Failed(ILogger logger, string model, string failure);

        [LoggerMessage(EventId = 3, Level = LogLevel.Error, Message = "Model {Model}: engine {Engine} is lost, {Left} of {All} go on: {Failure}")]
        public static partial void LostReplica(ILogger logger, string model, int engine, int left, int all, string failure);
    }
}
