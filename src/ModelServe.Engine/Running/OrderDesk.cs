using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Carries out what operators ask between two steps: pause, go on, forget the cached prefixes.</summary>
/// <remarks>Thread: engine thread only, but for <see cref="CompleteRest"/> and reading <see cref="StepPlanner.Pause"/>.</remarks>
internal sealed class OrderDesk
{
    private readonly Inbox _inbox;
    private readonly StepPlanner _planner;
    private readonly List<EngineOrder> _awaitStandstill = [];

    /// <summary>Makes the desk of one engine.</summary>
    public OrderDesk(Inbox inbox, StepPlanner planner)
    {
        _inbox = inbox;
        _planner = planner;
    }

    /// <summary>Carries out what has come in.</summary>
    public void Take()
    {
        for (var order = _inbox.TakeOrders(); order is not null; order = order.Next)
        {
            if (order.Mode is not { } mode)
            {
                order.Complete(_planner.Ledger.ForgetPrefixes());
                continue;
            }

            _planner.Pause = mode;
            if (mode == PauseMode.None)
            {
                CompleteStandstill(0);
                order.Complete(1);
            }
            else
            {
                _awaitStandstill.Add(order);
            }
        }
    }

    /// <summary>Tells those who wait for a standstill, if this is one.</summary>
    /// <param name="stepsInFlight">Steps that the executor still has.</param>
    public void CompleteIfStill(int stepsInFlight)
    {
        if (_awaitStandstill.Count > 0 && stepsInFlight == 0
            && (_planner.Pause == PauseMode.Keep || _planner.Running.Count == 0))
        {
            CompleteStandstill(1);
        }
    }

    /// <summary>Answers orders that no engine thread will take any more; any thread, once the engine has stopped.</summary>
    public void CompleteRest()
    {
        for (var order = _inbox.TakeOrders(); order is not null; order = order.Next)
        {
            order.Complete(0);
        }
    }

    /// <summary>Answers those who wait for a standstill.</summary>
    public void CompleteStandstill(int result)
    {
        foreach (var order in _awaitStandstill)
        {
            order.Complete(result);
        }

        _awaitStandstill.Clear();
    }
}
