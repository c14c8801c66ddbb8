using System.Reflection;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;

namespace ModelServe.Api.Services;

/// <summary>Finds the methods of a generated service, as the framework does, and gives them parsers that blame the client.</summary>
/// <remarks>
/// With the framework's own a message that is no protobuf is an unhandled exception of the server, status UNKNOWN. Here it is
/// INVALID_ARGUMENT. Attributes of the service and of its methods become metadata of the endpoint, as there.
/// </remarks>
/// <typeparam name="TService">A class that derives from a generated base.</typeparam>
internal sealed class MethodProvider<TService> : IServiceMethodProvider<TService>
    where TService : class
{
    /// <inheritdoc/>
    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<TService> context)
    {
        for (Type? type = typeof(TService); type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>() is { } bind)
            {
                MethodInfo method = bind.BindType.GetMethod(
                    bind.BindMethodName, BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static, [typeof(ServiceBinderBase), type])
                    ?? throw new InvalidOperationException($"{bind.BindType} has no method {bind.BindMethodName}");
                method.Invoke(null, [new Binder(context), null]);
                return;
            }
        }

        throw new InvalidOperationException($"{typeof(TService)} derives from no generated service");
    }

    /// <summary>Takes the methods that generated code hands over.</summary>
    private sealed class Binder(ServiceMethodProviderContext<TService> context) : ServiceBinderBase
    {
        public override void AddMethod<TRequest, TResponse>(
            Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
        {
            (UnaryServerMethod<TService, TRequest, TResponse> invoker, List<object> metadata) =
                Resolve<UnaryServerMethod<TService, TRequest, TResponse>>(method.Name, [typeof(TRequest), typeof(ServerCallContext)]);
            context.AddUnaryMethod(Careful(method), metadata, invoker);
        }

        public override void AddMethod<TRequest, TResponse>(
            Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
        {
            (ServerStreamingServerMethod<TService, TRequest, TResponse> invoker, List<object> metadata) =
                Resolve<ServerStreamingServerMethod<TService, TRequest, TResponse>>(
                    method.Name, [typeof(TRequest), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext)]);
            context.AddServerStreamingMethod(Careful(method), metadata, invoker);
        }

        public override void AddMethod<TRequest, TResponse>(
            Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
        {
            (ClientStreamingServerMethod<TService, TRequest, TResponse> invoker, List<object> metadata) =
                Resolve<ClientStreamingServerMethod<TService, TRequest, TResponse>>(
                    method.Name, [typeof(IAsyncStreamReader<TRequest>), typeof(ServerCallContext)]);
            context.AddClientStreamingMethod(Careful(method), metadata, invoker);
        }

        public override void AddMethod<TRequest, TResponse>(
            Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
        {
            (DuplexStreamingServerMethod<TService, TRequest, TResponse> invoker, List<object> metadata) =
                Resolve<DuplexStreamingServerMethod<TService, TRequest, TResponse>>(
                    method.Name, [typeof(IAsyncStreamReader<TRequest>), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext)]);
            context.AddDuplexStreamingMethod(Careful(method), metadata, invoker);
        }

        private static (TDelegate Invoker, List<object> Metadata) Resolve<TDelegate>(string name, Type[] parameters)
            where TDelegate : Delegate
        {
            MethodInfo method = typeof(TService).GetMethod(name, BindingFlags.Public | BindingFlags.Instance, parameters)
                ?? throw new InvalidOperationException($"{typeof(TService)} has no method {name}");
            return (method.CreateDelegate<TDelegate>(), [.. typeof(TService).GetCustomAttributes(true), .. method.GetCustomAttributes(true)]);
        }

        private static Method<TRequest, TResponse> Careful<TRequest, TResponse>(Method<TRequest, TResponse> method)
            where TRequest : class
            where TResponse : class => new(
                method.Type,
                method.ServiceName,
                method.Name,
                Marshallers.Create(
                    method.RequestMarshaller.ContextualSerializer,
                    context => Parse(method.RequestMarshaller.ContextualDeserializer, context)),
                method.ResponseMarshaller);

        private static TRequest Parse<TRequest>(Func<DeserializationContext, TRequest> parser, DeserializationContext context)
        {
            try
            {
                return parser(context);
            }
            catch (Google.Protobuf.InvalidProtocolBufferException)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, "The message is not one of this method."));
            }
        }
    }
}
