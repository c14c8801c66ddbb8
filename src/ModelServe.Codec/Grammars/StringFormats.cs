namespace ModelServe.Codec.Grammars;

/// <summary>The formats of JSON Schema's vocabulary that are kept, as regular expressions over the whole text.</summary>
/// <remarks>A format that is not here is an annotation, as the specification says, and holds nothing. Sources: RFC 3339, 3986, 4122, 4291, 5321, 1123, ISO 8601.</remarks>
internal static class StringFormats
{
    private const string Date = "[0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{4}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{4}-02-(0[1-9]|[12][0-9])";
    private const string Time = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    private const string Byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private const string Ipv4 = "(" + Byte + "\\.){3}" + Byte;
    private const string Hex = "[0-9A-Fa-f]{1,4}";
    private const string Label = "[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?";
    private const string Ipv6 = "(" + Hex + ":){7}" + Hex + "|(" + Hex + ":){1,7}:|(" + Hex + ":){1,6}:" + Hex + "|(" + Hex + ":){1,5}(:" + Hex + "){1,2}|("
        + Hex + ":){1,4}(:" + Hex + "){1,3}|(" + Hex + ":){1,3}(:" + Hex + "){1,4}|(" + Hex + ":){1,2}(:" + Hex + "){1,5}|" + Hex + ":(:" + Hex + "){1,6}|:((:"
        + Hex + "){1,7}|:)|(" + Hex + ":){6}" + Ipv4 + "|::(" + Hex + ":){0,5}" + Ipv4;

    private const string UriCharacter = "([0-9A-Za-z._~:/?#\\[\\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})";

    /// <summary>The pattern of a format, or null when the format is an annotation.</summary>
    public static string? PatternOf(string format) => format switch
    {
        "date" => Date,
        "time" => Time,
        "date-time" => "(" + Date + ")[Tt ](" + Time + ")",
        "duration" => "P([0-9]+W|([0-9]+Y)?([0-9]+M)?[0-9]+DT?([0-9]+H)?([0-9]+M)?([0-9]+S)?|([0-9]+Y)([0-9]+M)?|([0-9]+M)|([0-9]+Y)?([0-9]+M)?([0-9]+D)?T([0-9]+H([0-9]+M)?([0-9]+S)?|[0-9]+M([0-9]+S)?|[0-9]+S))",
        "email" => "[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+(\\.[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+)*@" + Label + "(\\." + Label + ")*",
        "hostname" => Label + "(\\." + Label + ")*",
        "ipv4" => Ipv4,
        "ipv6" => Ipv6,
        "uuid" => "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
        "uri" => "[A-Za-z][0-9A-Za-z+.-]*:" + UriCharacter + "*",
        "uri-reference" => UriCharacter + "*",
        "json-pointer" => "(/([^~/]|~[01])*)*",
        _ => null,
    };
}
