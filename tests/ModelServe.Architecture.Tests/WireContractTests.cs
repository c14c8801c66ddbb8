using System.Globalization;
using System.Text;
using Google.Protobuf.Reflection;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Architecture.Tests;

/// <summary>What clients bind to, as reviewed text: a change of the contract shows as a change of that file.</summary>
public sealed class WireContractTests
{
    private const string ContractFile = "tests/ModelServe.Architecture.Tests/Contracts/modelserve.v1.txt";

    [Fact]
    public void The_compiled_contract_equals_the_reviewed_text()
    {
        string actual = Describe(InferenceReflection.Descriptor, PromptLogprobsReflection.Descriptor, ToolChoiceReflection.Descriptor, ModelsReflection.Descriptor, ControlReflection.Descriptor, EventsReflection.Descriptor);
        string written = Path.Combine(AppContext.BaseDirectory, "modelserve.v1.actual.txt");
        File.WriteAllText(written, actual);
        Assert.True(
            actual == string.Join('\n', SourceTree.Lines(ContractFile)) + "\n",
            $"The contract differs from {ContractFile}. If that is meant, review and copy {written} there.");
    }

    [Fact]
    public void Every_scalar_field_of_the_contract_is_optional()
    {
        IEnumerable<string> bare = Messages(InferenceReflection.Descriptor, PromptLogprobsReflection.Descriptor, ToolChoiceReflection.Descriptor, ModelsReflection.Descriptor, ControlReflection.Descriptor, EventsReflection.Descriptor)
            .SelectMany(message => message.Fields.InDeclarationOrder())
            .Where(field => !field.IsRepeated && field.FieldType != FieldType.Message && !field.HasPresence)
            .Select(field => field.FullName);
        Assert.Empty(bare);
    }

    private static IEnumerable<MessageDescriptor> Messages(params FileDescriptor[] files) =>
        files.SelectMany(file => file.MessageTypes).Where(message => !message.IsMapEntry);

    private static string Describe(params FileDescriptor[] files)
    {
        StringBuilder text = new();
        foreach (ServiceDescriptor service in files.SelectMany(file => file.Services))
        {
            Line($"service {service.FullName}");
            foreach (MethodDescriptor method in service.Methods)
            {
                Line($"  {method.Name}({method.InputType.Name}) returns ({(method.IsServerStreaming ? "stream " : "")}{method.OutputType.Name})");
            }
        }

        foreach (MessageDescriptor message in Messages(files).OrderBy(message => message.FullName, StringComparer.Ordinal))
        {
            Line($"message {message.FullName}");
            foreach (FieldDescriptor field in message.Fields.InFieldNumberOrder())
            {
                string group = field.RealContainingOneof is { } oneof ? $" oneof {oneof.Name}" : "";
                Line($"  {field.FieldNumber} {field.Name} {TypeName(field)}{group}");
            }
        }

        foreach (EnumDescriptor kind in files.SelectMany(file => file.EnumTypes).OrderBy(kind => kind.FullName, StringComparer.Ordinal))
        {
            Line($"enum {kind.FullName}");
            foreach (EnumValueDescriptor value in kind.Values)
            {
                Line($"  {value.Number} {value.Name}");
            }
        }

        return text.ToString();

        void Line(FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }

    private static string TypeName(FieldDescriptor field)
    {
        if (field.IsMap)
        {
            return $"map<{TypeName(field.MessageType.FindFieldByNumber(1))}, {TypeName(field.MessageType.FindFieldByNumber(2))}>";
        }

        string name = field.FieldType switch
        {
            FieldType.Message => field.MessageType.FullName,
            FieldType.Enum => field.EnumType.FullName,
            FieldType kind => kind.ToString(),
        };
        return field.IsRepeated ? "repeated " + name : name;
    }
}
